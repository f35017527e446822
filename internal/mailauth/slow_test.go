package mailauth

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/address"
	"chmail/internal/message"
)

// slowly is a DNS some names of which take their time, or fail.
type slowly struct {
	txt   map[string]string
	after map[string]time.Duration
	fails map[string]bool
}

func (s slowly) LookupTXT(ctx context.Context, name string) ([]string, error) {
	name = strings.TrimSuffix(name, ".")
	select {
	case <-time.After(s.after[name]):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if s.fails[name] {
		return nil, &net.DNSError{Err: "the server failed", IsTemporary: true}
	}
	if txt, ok := s.txt[name]; ok {
		return []string{txt}, nil
	}
	return nil, absent
}
func (slowly) LookupMX(context.Context, string) ([]*net.MX, error)        { return nil, absent }
func (slowly) LookupIPAddr(context.Context, string) ([]net.IPAddr, error) { return nil, absent }
func (slowly) LookupAddr(context.Context, string) ([]string, error)       { return nil, absent }

// from is a mail's envelope, from a sender elsewhere.
func from(t *testing.T, sender string) *message.Envelope {
	t.Helper()
	return &message.Envelope{From: must(address.Parse(sender))(t), Helo: "mail.elsewhere.test", Peer: netip.MustParseAddr("192.0.2.1")}
}

func TestAForgerHidesBehindNoAuthorsOfHisOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := slowly{
			txt:   map[string]string{"_dmarc.bank.test": "v=DMARC1; p=reject", "_dmarc.e1.test": "v=DMARC1; p=none; psd=n", "_dmarc.e2.test": "v=DMARC1; p=quarantine; psd=n"},
			after: map[string]time.Duration{"_dmarc.e1.test": 4990 * time.Millisecond, "_dmarc.e2.test": 4990 * time.Millisecond, "_dmarc.bank.test": 50 * time.Millisecond},
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		r := must(NewVerifier(Options{Resolver: dns}).Check(ctx, from(t, "x@other.test"), source("From: x@e1.test, y@e2.test, ceo@bank.test\r\n\r\nhello\r\n")))(t)
		if r.Disowned() != "bank.test" && !r.Unsure() {
			t.Errorf("%+v", r.DMARC)
		}
	})
}

func TestADNSThatFailsAboveAnAuthorsOwnPolicyPutsNothingOff(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		dns    slowly
		sender string
		unsure bool
	}{
		"p=none, nobody has proved it":         {slowly{txt: map[string]string{"_dmarc.shop.example": "v=DMARC1; p=none"}}, "x@lists.test", false},
		"p=quarantine: marked at the worst":    {slowly{txt: map[string]string{"_dmarc.shop.example": "v=DMARC1; p=quarantine"}}, "x@lists.test", false},
		"p=reject, somebody near may have":     {slowly{txt: map[string]string{"_dmarc.shop.example": "v=DMARC1; p=reject"}}, "x@lists.test", true},
		"no policy of its own, proved":         {slowly{txt: map[string]string{"shop.example": "v=spf1 ip4:192.0.2.1 -all"}}, "x@shop.example", false},
		"no policy of its own, nothing proved": {slowly{}, "x@lists.test", true},
	} {
		c.dns.fails = map[string]bool{"_dmarc.example": true}
		r := must(NewVerifier(Options{Resolver: c.dns}).Check(t.Context(), from(t, c.sender), source("From: x@shop.example\r\n\r\nhello\r\n")))(t)
		if r.Unsure() != c.unsure || r.Disowned() != "" || (r.Doubted() != "") != strings.HasPrefix(name, "p=quarantine") {
			t.Errorf("%s: unsure %t: %+v", name, r.Unsure(), r.DMARC)
		}
	}
}

// TestASealWhoseKeyIsNotGivenJustNowIsNotBroken: the mail waits, if the server that has sealed it is believed.
func TestASealWhoseKeyIsNotGivenJustNowIsNotBroken(t *testing.T) {
	t.Parallel()
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	mail := sealBy(t, key, "From: ann@author.test\r\nSubject: [list] News\r\n\r\nNews.\r\n", "list.test", "spf=fail; dmarc=pass header.from=author.test", 1)
	for _, fails := range []bool{false, true} {
		dns := slowly{
			txt: map[string]string{
				"arc._domainkey.list.test": "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey)), "_dmarc.author.test": "v=DMARC1; p=reject",
			},
			fails: map[string]bool{"arc._domainkey.list.test": fails},
		}
		r := must(NewVerifier(Options{Resolver: dns}).Check(t.Context(), from(t, "list@list.test"), source(mail)))(t)
		if r.Vouched([]string{"list.test"}) == fails || r.Sealed([]string{"list.test"}) != fails || r.Sealed([]string{"other.test"}) {
			t.Errorf("the DNS fails: %t: vouched %t, sealed %t: %+v", fails, r.Vouched([]string{"list.test"}), r.Sealed([]string{"list.test"}), r.ARC)
		}
	}
}
