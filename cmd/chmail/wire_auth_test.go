package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"net/netip"
	"strings"
	"testing"

	"chmail/config"
	"chmail/internal/address"
	"chmail/internal/dnstest"
	"chmail/internal/mailauth"
	"chmail/internal/message"
	"chmail/internal/metrics"
)

func TestWhoWritesFromOutsideInOurNameIsMarkedOrRefused(t *testing.T) {
	t.Parallel()
	dns := dnstest.Start(t, dnstest.Records{"ours.test TXT": {"v=spf1 ip4:192.0.2.7 -all"}})
	const here, there, itself = "192.0.2.7", "198.51.100.9", "127.0.0.1"
	for _, c := range []struct {
		own, peer, from string
		suspect, refuse bool
	}{
		{config.OwnMark, there, "boss@ours.test", true, false},
		{config.OwnRefuse, there, "boss@ours.test", true, true},
		{config.OwnAccept, there, "boss@ours.test", false, false},
		{config.OwnRefuse, here, "boss@ours.test", false, false}, // SPF has this host
		{config.OwnRefuse, itself, "boss@ours.test", false, false},
		{config.OwnRefuse, there, "boss@theirs.test", false, false},
		{config.OwnRefuse, there, "boss@theirs.test, boss@ours.test", true, true}, // and who is named beside him does not hide it
	} {
		check := checker{verifier: mailauth.NewVerifier(mailauth.Options{Resolver: dns.Resolver()}), host: "mx.ours.test", domains: []string{"ours.test"}, own: c.own, figures: metrics.New()}
		first, _, _ := strings.Cut(c.from, ",")
		from, err := address.Parse(first)
		if err != nil {
			t.Fatal(err)
		}
		f, err := check.Check(t.Context(), &message.Envelope{From: from, Helo: "x.test", Peer: netip.MustParseAddr(c.peer)}, strings.NewReader("From: "+c.from+"\r\n\r\nPay.\r\n"))
		if err != nil {
			t.Fatal(err)
		}
		if (f.Suspect != "") != c.suspect || f.Ours != c.refuse || (f.Reject != "") != c.refuse {
			t.Errorf("%+v: %+v", c, f)
		}
	}
}

// TestAProgramOnThisComputerMayWriteInOurName, such as one that runs jobs at night, though our own policy has mail refused that is not from our servers: it is for those elsewhere.
func TestAProgramOnThisComputerMayWriteInOurName(t *testing.T) {
	t.Parallel()
	dns := dnstest.Start(t, dnstest.Records{"_dmarc.ours.test TXT": {"v=DMARC1; p=reject"}, "_dmarc.theirs.test TXT": {"v=DMARC1; p=reject"}})
	check := checker{verifier: mailauth.NewVerifier(mailauth.Options{Resolver: dns.Resolver()}), host: "mx.ours.test", domains: []string{"ours.test"}, own: config.OwnRefuse, figures: metrics.New()}
	for _, c := range []struct{ peer, from, reject string }{
		{"127.0.0.1", "root@ours.test", ""}, {"::1", "root@mx.ours.test", ""}, {"192.0.2.1", "root@ours.test", "ours.test"}, {"192.0.2.1", "root@mx.ours.test", "mx.ours.test"},
		{"127.0.0.1", "ann@theirs.test", "theirs.test"}, {"127.0.0.1", "root@yours.test", ""}, {"127.0.0.1", "root (Cron Daemon)", ""},
	} {
		f, err := check.Check(t.Context(), &message.Envelope{Helo: "localhost", Peer: netip.MustParseAddr(c.peer)}, strings.NewReader("From: "+c.from+"\r\n\r\nThe backup has ended.\r\n"))
		if err != nil {
			t.Fatal(err)
		}
		if f.Reject != c.reject || f.Suspect != "" {
			t.Errorf("%+v: %+v", c, f)
		}
	}
}

// sealedByAList is a mail that list.test has changed and sealed, with the key of the seed of zeros; internal/mailauth makes others in its tests.
const sealedByAList = `ARC-Seal: i=1; cv=none; a=ed25519-sha256; d=list.test; s=arc; b=/Jjajc+jST3PP2Zs+hPPMOFQYbPRoCjnA1T/EcbyKPx3ONRH7jvuV+4APzoGMY1oM2Yz5UMAzVRyAspjG9ENCQ==
ARC-Message-Signature: i=1; a=ed25519-sha256; c=relaxed/relaxed; d=list.test; s=arc; h=from:subject; bh=EZUlsGlKwnZXY9dxBFOR0xIuqgQuUFRX+w1/IrEAfJk=; b=zOVuc+j8x79i/SgyGBwbd4tUF25wc3zxjmx/2vgFjIYwoFWOpbriS1hxsTKKZoGql1oSGq098P8mpJdapK7QBw==
ARC-Authentication-Results: i=1; mx.list.test; dmarc=pass header.from=author.test
From: ann@author.test
Subject: [list] News

News.
`

func TestAListThatTheAdministratorBelievesMayChangeAMail(t *testing.T) {
	t.Parallel()
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)).Public().(ed25519.PublicKey)
	dns := dnstest.Start(t, dnstest.Records{"_dmarc.author.test TXT": {"v=DMARC1; p=reject"}, "arc._domainkey.list.test TXT": {"v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(key)}})
	cfg := &config.Config{Hostname: "mx.ours.test", Domains: []string{"ours.test"}}
	cfg.Relay.Resolver, cfg.SMTP.MX.Own = dns.Addr(), config.OwnMark
	for _, sealers := range [][]string{nil, {"list.test"}} {
		cfg.SMTP.MX.TrustARC = sealers
		f, err := newChecker(cfg, metrics.New()).Check(t.Context(), &message.Envelope{Helo: "mx.list.test", Peer: netip.MustParseAddr("192.0.2.1")}, strings.NewReader(strings.ReplaceAll(sealedByAList, "\n", "\r\n")))
		if err != nil {
			t.Fatal(err)
		}
		if refused := f.Reject == "author.test"; refused == (sealers != nil) || f.Suspect != "" || !strings.Contains(string(f.Field), "dmarc=fail") || !strings.Contains(string(f.Field), "arc=pass") {
			t.Errorf("believed %v: %+v\n%s", sealers, f, f.Field)
		}
	}
}

func TestAListThatMayBeBelievedIsWaitedFor(t *testing.T) {
	t.Parallel()
	dns := dnstest.Start(t, dnstest.Records{"_dmarc.author.test TXT": {"v=DMARC1; p=reject"}})
	dns.Fail("arc._domainkey.list.test")
	cfg := &config.Config{Hostname: "mx.ours.test", Domains: []string{"ours.test"}}
	cfg.Relay.Resolver, cfg.SMTP.MX.Own = dns.Addr(), config.OwnMark
	for _, sealers := range [][]string{nil, {"list.test"}} {
		cfg.SMTP.MX.TrustARC = sealers
		f, err := newChecker(cfg, metrics.New()).Check(t.Context(), &message.Envelope{Helo: "mx.list.test", Peer: netip.MustParseAddr("192.0.2.1")}, strings.NewReader(strings.ReplaceAll(sealedByAList, "\n", "\r\n")))
		if (err != nil) != (sealers != nil) || err == nil && f.Reject != "author.test" {
			t.Errorf("believed %v: %+v, %v", sealers, f, err)
		}
	}
}

func TestAMailThatSaysBadlyWhomItIsFromIsRefused(t *testing.T) {
	t.Parallel()
	check := checker{verifier: mailauth.NewVerifier(mailauth.Options{Resolver: dnstest.Start(t, nil).Resolver()}), host: "mx.ours.test", domains: []string{"ours.test"}, own: config.OwnMark, figures: metrics.New()}
	for from, want := range map[string]bool{"ceo@": true, "ceo@theirs.test": false} {
		f, err := check.Check(t.Context(), &message.Envelope{Helo: "x.test", Peer: netip.MustParseAddr("198.51.100.9")}, strings.NewReader("From: "+from+"\r\n\r\nPay.\r\n"))
		if err != nil || f.Unclear != want {
			t.Errorf("%s: %+v, %v", from, f, err)
		}
	}
}
