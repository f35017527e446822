package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"chmail/internal/play"
)

// dkim runs a verb of the keys and insists on its status.
func dkim(t *testing.T, file string, status int, words string) (out, errs string) {
	t.Helper()
	out, errs, got := chmail(t, "", append(append([]string{"dkim"}, strings.Fields(words)...), "--config", file)...)
	if got != status {
		t.Fatalf("chmail dkim %s: status %d, want %d: %s%s", words, got, status, out, errs)
	}
	return out, errs
}

// signing are the selectors that sign, and the others behind a stroke.
func signing(t *testing.T, file string) string {
	t.Helper()
	out, _ := dkim(t, file, statusDone, "list --json")
	var all []listedKey
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var yes, no []string
	for _, k := range all {
		if k.Name != k.Selector+"._domainkey."+play.Domain || !strings.HasPrefix(k.Record, "v=DKIM1; k="+k.Algorithm+"; p=") {
			t.Errorf("%+v", k)
		}
		if k.Signs {
			yes = append(yes, k.Selector)
		} else {
			no = append(no, k.Selector)
		}
	}
	return strings.Join(yes, " ") + " | " + strings.Join(no, " ")
}

// zoneOf is a DNS that holds these texts.
type zoneOf map[string]string

func (z zoneOf) Lookup(_ context.Context, name, _ string) ([]string, error) {
	if text, ok := z[name]; ok {
		return []string{text}, nil
	}
	return nil, nil
}

// record is the text to publish for a key.
func record(t *testing.T, file, selector string) string {
	t.Helper()
	out, _ := dkim(t, file, statusDone, "list --json")
	var all []listedKey
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(k listedKey) bool { return k.Selector == selector })
	if i < 0 {
		t.Fatalf("no key %s", selector)
	}
	return all[i].Record
}

func TestADomainsKeysAreMadeAndChangedAndRetired(t *testing.T) {
	t.Parallel()
	file := writeConfig(t)
	if out, _ := dkim(t, file, statusDone, "list"); !strings.Contains(out, "chmail dkim new "+play.Domain) {
		t.Errorf("without keys: %s", out)
	}
	out, _ := dkim(t, file, statusDone, "new LOCALHOST.test --selector winter")
	records := regexp.MustCompile(`(?m)^winter-(rsa|ed25519)\._domainkey\.localhost\.test\. 3600 IN TXT "v=DKIM1; k=(rsa|ed25519); p=[^"]+"( "[^"]+")?$`)
	if len(records.FindAllString(out, -1)) != 2 || !strings.Contains(out, "They sign from now on") {
		t.Errorf("the first keys: %s", out)
	}
	out, _ = dkim(t, file, statusDone, "new localhost.test --selector spring")
	if !strings.Contains(out, "chmail dkim use localhost.test spring-rsa spring-ed25519") {
		t.Errorf("the second: %s", out)
	}
	if got := signing(t, file); got != "winter-rsa winter-ed25519 | spring-rsa spring-ed25519" {
		t.Errorf("keys: %s", got)
	}
	if _, errs := dkim(t, file, statusRefused, "retire localhost.test winter-rsa --yes"); !strings.Contains(errs, "choose another first") {
		t.Errorf("a key that signs: %s", errs)
	}
	spring := dkimUse{Domain: play.Domain, Selector: []string{"spring-rsa", "spring-ed25519"}}
	cfg, err := (&cli{ConfigFile: file}).load()
	if err != nil {
		t.Fatal(err)
	}
	zone := zoneOf{}
	if err := spring.published(t.Context(), dkimFolder(cfg), zone); err == nil || !strings.Contains(err.Error(), "spring-") || !strings.Contains(err.Error(), "--force") {
		t.Errorf("before their records are published: %v", err)
	}
	for _, k := range spring.Selector {
		zone[k+"._domainkey."+play.Domain] = record(t, file, k)
	}
	if err := spring.published(t.Context(), dkimFolder(cfg), zone); err != nil {
		t.Errorf("with their records published: %v", err)
	}
	dkim(t, file, statusDone, "use localhost.test spring-rsa spring-ed25519 --force")
	if _, errs := dkim(t, file, statusUsage, "retire localhost.test winter-rsa"); !strings.Contains(errs, "--yes") {
		t.Errorf("without being asked: %s", errs)
	}
	if _, errs := dkim(t, file, statusRefused, "retire localhost.test winter-rsa --yes"); !strings.Contains(errs, "on its way") || !strings.Contains(errs, "--force") {
		t.Errorf("a key that has signed a moment ago: %s", errs)
	}
	old := time.Now().Add(-cfg.Relay.Life - time.Minute)
	if err := os.Chtimes(filepath.Join(cfg.Data, "dkim", play.Domain, "winter-rsa.rsa.pem"), old, old); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(filepath.Join(cfg.Data, "dkim", play.Domain, "signing"), old, old); err != nil {
		t.Fatal(err)
	}
	dkim(t, file, statusDone, "retire localhost.test winter-rsa --yes")
	dkim(t, file, statusDone, "retire localhost.test winter-ed25519 --yes --force")
	if got := signing(t, file); got != "spring-rsa spring-ed25519 | " {
		t.Errorf("keys: %s", got)
	}
	if out, _ := dkim(t, file, statusDone, "list"); !regexp.MustCompile(`localhost\.test +spring-rsa +rsa +yes +spring-rsa\._domainkey`).MatchString(out) {
		t.Errorf("the list: %s", out)
	}
	for range 2 { // on one day
		dkim(t, file, statusDone, "new localhost.test")
	}
	if got := signing(t, file); !regexp.MustCompile(`\| \d{8}-rsa \d{8}b-rsa \d{8}-ed25519 \d{8}b-ed25519$`).MatchString(got) {
		t.Errorf("keys: %s", got)
	}
}

func TestKeysThatCannotBeMade(t *testing.T) {
	t.Parallel()
	file := writeConfig(t)
	dkim(t, file, statusDone, "new localhost.test --selector a")
	for words, says := range map[string]string{
		"new example.net": "none of the configuration's domains", "new localhost.test --selector a": "a already", "new localhost.test --selector A.b": "is no selector",
		"use localhost.test b": "no DKIM key", "retire localhost.test b --yes": "no DKIM key", "use .. a-rsa": "empty label",
	} {
		if out, errs := dkim(t, file, statusRefused, words); out != "" || !strings.Contains(errs, says) {
			t.Errorf("%s: %s%s", words, out, errs)
		}
	}
	if signing(t, file) != "a-rsa a-ed25519 | " {
		t.Errorf("keys: %s", signing(t, file))
	}
}

func TestWithoutKeysTheServerSaysOnceHowToMakeThem(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	log := newLog(&b, 0, "text")
	file := writeConfig(t)
	dkim(t, file, statusDone, "new localhost.test")
	cfg, err := (&cli{ConfigFile: file}).load()
	if err != nil {
		t.Fatal(err)
	}
	tellUnsigned(dkimFolder(cfg), []string{play.Domain}, log)
	if b.Len() != 0 {
		t.Errorf("with keys: %s", b.String())
	}
	tellUnsigned(dkimFolder(cfg), []string{"one.test", play.Domain, "two.test"}, log)
	if strings.Count(b.String(), "\n") != 1 || !strings.Contains(b.String(), `domains="one.test two.test" how="chmail dkim new one.test"`) {
		t.Errorf("without: %s", b.String())
	}
	b.Reset()
	if err := os.WriteFile(filepath.Join(cfg.Data, "dkim", play.Domain, "x.rsa.pem"), []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	tellUnsigned(dkimFolder(cfg), []string{play.Domain}, log)
	if !strings.Contains(b.String(), "level=ERROR") || !strings.Contains(b.String(), "x.rsa.pem") {
		t.Errorf("with one that cannot be read: %s", b.String())
	}
}

func TestTheCopyForAServerOfSevenBitsIsSignedAnew(t *testing.T) {
	t.Parallel()
	file := writeConfig(t)
	dkim(t, file, statusDone, "new localhost.test --selector s")
	cfg, err := (&cli{ConfigFile: file}).load()
	if err != nil {
		t.Fatal(err)
	}
	s := signer{dkimFolder(cfg)}
	for from, signatures := range map[string]int{"alice@" + play.Domain: 2, "alice@elsewhere.test": 0} {
		mail := strings.NewReader(fmt.Sprintf("From: %s\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n", from))
		whole, err := s.signed(mail, mail.Size())
		if err != nil {
			t.Fatal(err)
		}
		body, size, again, err := s.downgrade(mail, mail.Size())
		if err != nil {
			t.Fatal(err)
		}
		text := make([]byte, size)
		if _, err := body.ReadAt(text, 0); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), "Gr=C3=BC=C3=9Fe") || strings.Count(string(again), "DKIM-Signature:") != signatures || signatures > 0 && bodyHash(whole) == bodyHash(again) {
			t.Errorf("from %s: %s\n%s", from, again, text)
		}
	}
}

// bodyHash is bh= of the first signature.
func bodyHash(fields []byte) string {
	m := regexp.MustCompile(`bh=([^;]+);`).FindSubmatch(fields)
	if m == nil {
		return ""
	}
	return string(m[1])
}
