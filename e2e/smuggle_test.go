package e2e

import (
	"bufio"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// gullible is a smarthost that takes LF.LF for the end of a mail, as some have.
func gullible(t *testing.T) int {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				in := bufio.NewReader(conn)
				fmt.Fprint(conn, "220 gullible ESMTP\r\n")
				for mail := false; ; {
					line, err := in.ReadString('\n')
					if err != nil {
						return
					}
					switch {
					case mail && strings.TrimRight(line, "\r\n") != ".":
						continue
					case line == "QUIT\r\n":
						fmt.Fprint(conn, "221 bye\r\n")
						return
					case mail, !strings.HasPrefix(line, "DATA"):
						mail = false
						fmt.Fprint(conn, "250 ok\r\n")
					default:
						mail = true
						fmt.Fprint(conn, "354 go on\r\n")
					}
				}
			}()
		}
	}()
	return ln.Addr().(*net.TCPAddr).Port
}

// TestTheDoctorFindsWhereMailsCanBeHiddenInMails probes a server of ours, which is sound, and then one with a smarthost that is not.
func TestTheDoctorFindsWhereMailsCanBeHiddenInMails(t *testing.T) {
	t.Parallel()
	s := newServerFor(t, "mail.one.test", "one.test", "")
	s.account(t, ann, annsPassword)
	s.start(t)
	out, errs, code := s.chmail(t, "", "doctor", "smuggle")
	if code != 0 || strings.Contains(out, "SMUGGLED") || strings.Count(out, "smtp.mx.listen") < 60 || strings.Count(out, "refused") < 60 || !strings.Contains(out, "BDAT CRLF.LF") || strings.Count(out, "skip") != 2 {
		t.Errorf("a sound server: exit %d\n%s%s", code, out, errs)
	}
	out, errs, code = s.chmail(t, annsPassword+"\n", "doctor", "smuggle", "--login", "Ann@one.test")
	if code != 0 || strings.Contains(out, "SMUGGLED") || strings.Contains(out, "skip") || strings.Contains(out+errs, annsPassword) {
		t.Errorf("a sound server, with a login: exit %d\n%s%s", code, out, errs)
	}
	for _, port := range []string{"smtp.mx.listen", "smtp.submission.listen", "smtp.submissions.listen"} {
		for _, how := range []string{"DATA", "BDAT"} {
			if n := len(regexp.MustCompile(port+` \S+ `+how+` .*: refused`).FindAllString(out, -1)); n < 30 {
				t.Errorf("%s by %s: %d variants were refused\n%s", port, how, n, out)
			}
		}
	}
	out, errs, code = s.chmail(t, "not her password\n", "doctor", "smuggle", "--login", ann)
	if code != 1 || strings.Count(out, "skip") != 2 || !strings.Contains(out, "the login is answered with 535") || !strings.Contains(errs, "2 of 2 could not be probed") {
		t.Errorf("with a wrong password: exit %d\n%s%s", code, out, errs)
	}
	m := s.maildrop(t, ann, annsPassword)
	defer m.quit()
	if n := m.count(); n != 0 {
		t.Errorf("probes arrived: %d", n)
	}
	bad := newServerFor(t, "mail.two.test", "two.test", "", "relay: {smarthosts: {old: {host: 127.0.0.1, port: "+strconv.Itoa(gullible(t))+", tls: opportunistic}}}\n")
	out, errs, code = bad.chmail(t, "", "doctor", "smuggle") // it does not run: its smarthost alone can be probed
	if code != 1 || !strings.Contains(out, "DATA LF.LF: SMUGGLED") || !strings.Contains(out, "DATA CRLF.xCRLF: harmless") || !strings.Contains(errs, "were smuggled") {
		t.Errorf("a smarthost that takes LF.LF for the end: exit %d\n%s%s", code, out, errs)
	}
}
