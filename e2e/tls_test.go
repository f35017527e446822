package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fingerprint is what a TLSA record says of the certificate in a folder.
func fingerprint(t *testing.T, dir string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "cert.pem"))
	must(t, err)
	block, _ := pem.Decode(text)
	sum := sha256.Sum256(block.Bytes)
	return hex.EncodeToString(sum[:])
}

// TestWhatAMailDemandsOfItsConnections sends mails that demand TLS all the way (REQUIRETLS, RFC 8689) and one that goes by any connection, to a domain without DNSSEC, with it, and with
// a certificate that it has not named.
func TestWhatAMailDemandsOfItsConnections(t *testing.T) {
	t.Parallel()
	w := twoServers(t, ", validates: true")
	w.one.start(t)
	w.two.start(t)
	c, err := w.one.dialSubmission(ann, annsPassword)
	if err != nil {
		t.Fatal(err)
	}
	defer c.conn.Close()
	send := func(subject, parameter, field string) {
		t.Helper()
		text := crlf(field + letter(ann, bert, subject, "For your eyes only."))
		must(t, c.ask("250", "MAIL FROM:<%s> RET=FULL%s", ann, parameter))
		must(t, c.ask("250", "RCPT TO:<%s>", bert))
		must(t, c.ask("250", "BDAT %d LAST\r\n%s", len(text)+2, text)) // the line end of ask belongs to it
	}
	retry := func() { // a destination is left alone for a minute when no connection could be had
		t.Helper()
		if out, errs, code := w.one.chmail(t, "", "queue", "retry", "--all"); code != 0 {
			t.Errorf("chmail queue retry: %s%s", out, errs)
		}
	}
	send("Nobody vouches", " REQUIRETLS", "")
	report, body := w.one.fetched(t, ann, annsPassword, about("Not delivered: Nobody vouches"))
	if !strings.Contains(body, "Status: 5.7.30") || strings.Contains(body, "For your eyes only.") {
		t.Errorf("the report: %v\n%s", report.Header, body)
	}

	records := fmt.Sprintf("_%d._tcp.mail.two.test TLSA", w.two.base)
	w.dns.Set(records, "3 0 1 "+strings.Repeat("00", sha256.Size))
	w.dns.Validate(true)
	send("It waits", "", "")
	w.one.logs(t, "is none that its domain has named (DANE)")
	send("Your certificate", "", "TLS-Required: No\n")
	retry()
	w.two.fetched(t, bert, bertsPassword, about("Your certificate"))
	if out, errs, _ := w.one.chmail(t, "", "queue", "list"); !strings.Contains(out, "4.7.5") || strings.Count(out, bert) != 1 {
		t.Errorf("what still waits:\n%s%s", out, errs)
	}

	w.dns.Set(records, "3 0 1 "+fingerprint(t, w.two.dir))
	send("DNSSEC vouches", " REQUIRETLS", "TLS-Required: No\n") // which does not count then (RFC 8689 4.1)
	retry()
	if got, _ := w.two.fetched(t, bert, bertsPassword, about("DNSSEC vouches")); !strings.Contains(got.Header["Received"][0], "with ESMTPS") || got.Header.Get("TLS-Required") != "No" {
		t.Errorf("it arrives as %v", got.Header)
	}
	w.two.fetched(t, bert, bertsPassword, about("It waits"))
}
