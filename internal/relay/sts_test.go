package relay

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/delivery"
)

const enforcing = "version: STSv1\r\nmode: enforce\r\nmx: mx.example.org\r\nmx: *.Mail.example.org\r\nmax_age: 86400\r\n"

func TestPoliciesAreReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		enforcing: "{ enforce [mx.example.org *.mail.example.org] 24h0m0s}",
		"version: STSv1\nmode:testing\nmx: a.example\nmax_age: 99999999\nfuture: x\n\n":             "{ testing [a.example] 8766h0m0s}",
		"version: STSv1\nmode: none\nmax_age: 60":                                                   "{ none [] 1m0s}",
		"mode: enforce\nmode: none\nversion: STSv1\nmx: bücher.example\nmax_age: 60\nmax_age: 70\n": "{ enforce [xn--bcher-kva.example] 1m0s}",
		"version: STSv2\nmode: none\nmax_age: 60":                                                   "a version other than STSv1",
		"version: STSv1\nmode: maybe\nmax_age: 60":                                                  "an unknown mode",
		"version: STSv1\nmode: enforce\nmax_age: 60":                                                "no mx",
		"version: STSv1\nmode: enforce\nmx: a.example\nmax_age: -1":                                 "max_age is no number of seconds",
		"version: STSv1\nmode: enforce\nmx: a.example\nmax_age: 99999999999999999999":               "max_age is no number of seconds",
		"version: STSv1\nmode: enforce\nmx: a.example":                                              "version, mode or max_age is missing",
		"version: STSv1\nmode: enforce\nmx: *.*.example\nmax_age: 60":                               "an mx that is no host name, or too many of them",
		"version: STSv1\nmode: enforce\nmx: [192.0.2.1]\nmax_age: 60":                               "an mx that is no host name, or too many of them",
		"<html>":                       "a line without a colon",
		strings.Repeat("x:y\n", 20000): "longer than 65536 octets",
	} {
		p, err := ParsePolicy([]byte(text))
		if got := fmt.Sprintf("{%s %s %v %s}", p.ID, p.Mode, p.MX, p.Age); err == nil && got != want || err != nil && !strings.HasSuffix(err.Error(), want) || err != nil && !errors.Is(err, errPolicy) {
			t.Errorf("%q: %s, %v, want %s", text, got, err, want)
		}
	}
	p, _ := ParsePolicy([]byte(enforcing))
	for host, want := range map[string]bool{
		"mx.example.org": true, "a.mail.example.org": true, "mail.example.org": false, "a.b.mail.example.org": false, "evil.example": false, "org": false, "": false,
	} {
		if p.Allows(host) != want {
			t.Errorf("%q is allowed: %v", host, !want)
		}
	}
}

func FuzzPolicy(f *testing.F) {
	for _, s := range []string{enforcing, "version: STSv1\nmode: none\nmax_age: 60", "mx:*.x\n", ":\n", "a:b"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := ParsePolicy(text)
		if err == nil && (p.Age <= 0 || p.Age > maxPolicyAge || len(p.MX) > maxPolicyMX || p.Mode != ModeNone && len(p.MX) == 0) {
			t.Fatalf("%q: %+v", text, p)
		}
		for _, mx := range p.MX {
			if host := strings.Replace(mx, "*", "label", 1); err == nil && !p.Allows(host) {
				t.Fatalf("%q does not allow %s", text, host)
			}
		}
		if id, ok := parseRecord(string(text)); ok && (id == "" || len(id) > 32) {
			t.Fatalf("%q: id %q", text, id)
		}
	})
}

func TestTheRecordNamesThePolicy(t *testing.T) {
	t.Parallel()
	for record, want := range map[string]string{
		"v=STSv1; id=20160831085700Z;": "20160831085700Z", "v=STSv1;id=1": "1", "v=STSv1 ; id=a ; x=y": "a", "v=STSv1": "", "v=STSv1;": "", "v=STSv1; id=;": "", "v=STSv12; id=1": "",
		"v=STSv1; id=a-b": "", "v=STSv1; id=" + strings.Repeat("1", 33): "", "id=1; v=STSv1": "",
	} {
		if id, ok := parseRecord(record); ok != (want != "") || ok && id != want {
			t.Errorf("%q: %q, %v", record, id, ok)
		}
	}
	for _, texts := range [][]string{{"v=STSv1; id=1", "v=STSv1; id=2"}, {"v=STSv1; id=1", "v=STSv1; id=-"}, {"v=STSv12; id=1"}, {"v=spf1 -all"}, {"fail"}, nil} {
		s := &sts{resolver: &zone{txt: map[string][]string{"_mta-sts.example.org.": texts}}}
		if id, ok := s.record(t.Context(), "example.org"); ok {
			t.Errorf("%v: id %q", texts, id)
		}
	}
}

// policyHost serves the policy of example.org over https; its answer can be changed.
type policyHost struct {
	answer atomic.Pointer[http.HandlerFunc]
	asked  atomic.Int32
}

func (h *policyHost) say(f http.HandlerFunc) { h.answer.Store(&f) }

func text(s string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte(s))
	}
}

// withPolicy starts the host and returns what finds policies there.
func withPolicy(t *testing.T, ca *authority, z *zone) (*policyHost, *sts) {
	t.Helper()
	h := &policyHost{}
	h.say(text(enforcing))
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.asked.Add(1)
		if r.Host != "mta-sts.example.org" || r.URL.Path != "/.well-known/mta-sts.txt" {
			http.NotFound(w, r)
			return
		}
		(*h.answer.Load())(w, r)
	}))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // of those who do not trust it
	cfg := ca.server("mta-sts.example.org")
	srv.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: cfg.Certificates}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	z.ip["mta-sts.example.org."] = []string{"127.0.0.1"}
	port := uint16(srv.Listener.Addr().(*net.TCPAddr).Port)
	r := New(Options{Resolver: z, Policies: &memoryPolicies{}, AnyAddress: true, PolicyPort: port, Roots: ca.pool()})
	return h, r.sts
}

func TestAPolicyIsFetchedOnceAndKept(t *testing.T) {
	t.Parallel()
	z := exampleOrg()
	z.txt["_mta-sts.example.org."] = []string{"v=spf1", "v=STSv1; id=1"}
	h, s := withPolicy(t, newAuthority(t), z)
	ask := func(want string, asked int32) {
		t.Helper()
		p, err := s.policy(t.Context(), "example.org")
		got := "none"
		if p != nil {
			got = p.ID + " " + p.Mode
		}
		if err != nil || got != want || h.asked.Load() != asked {
			t.Errorf("%s, %v after %d fetches, want %s after %d", got, err, h.asked.Load(), want, asked)
		}
	}
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() { _, _ = s.policy(t.Context(), "example.org") })
	}
	all.Wait()
	ask("1 enforce", 1)
	z.txt["_mta-sts.example.org."] = []string{"v=STSv1; id=2"}
	h.say(text(strings.Replace(enforcing, "enforce", "testing", 1)))
	ask("2 testing", 2)
	z.txt["_mta-sts.example.org."] = []string{"fail"} // somebody suppresses the DNS
	ask("2 testing", 2)
	z.txt["_mta-sts.example.org."] = []string{"v=STSv1; id=3"}
	h.say(http.NotFound)
	ask("2 testing", 3)
	ask("2 testing", 3) // there is a pause
	s.failed = map[string]time.Time{}
	h.say(text("version: STSv1\nmode: none\nmax_age: 60"))
	ask("none", 4)
	ask("none", 4)
	h.say(text(enforcing))
	z.txt["_mta-sts.example.org."] = []string{"v=STSv1; id=4"}
	ask("4 enforce", 5)
	p, _, _ := s.cache.Policy(t.Context(), "example.org")
	p.Age, p.Until = 48*time.Hour, time.Now().Add(23*time.Hour) // it holds, and is a day old
	_ = s.cache.SetPolicy(t.Context(), "example.org", p)
	h.say(http.NotFound)
	ask("4 enforce", 6)
	s.failed = map[string]time.Time{}
	h.say(text("version: STSv1\nmode: none\nmax_age: 60"))
	ask("none", 7)
	p, _, _ = s.cache.Policy(t.Context(), "example.org")
	p.Until = time.Now().Add(-time.Second)
	_ = s.cache.SetPolicy(t.Context(), "example.org", p)
	ask("none", 8)
}

func TestAPolicyIsFetchedAgainBeforeItRunsOut(t *testing.T) {
	t.Parallel()
	for age, at := range map[time.Duration]time.Duration{time.Hour: 30 * time.Minute, 24 * time.Hour: 12 * time.Hour, 7 * 24 * time.Hour: 24 * time.Hour} {
		for _, off := range []time.Duration{-time.Minute, time.Minute} {
			p := Policy{Age: age, Until: time.Now().Add(age - at - off)}
			if p.fresh() != (off < 0) {
				t.Errorf("of %v, after %v: %t", age, at+off, p.fresh())
			}
		}
	}
}

func TestOnlyAnHonestPolicyCounts(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	for name, answer := range map[string]http.HandlerFunc{
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://mta-sts.example.org/.well-known/mta-sts.txt?again", http.StatusFound)
		},
		"too long": text(enforcing + strings.Repeat("x: y\n", 20000)),
		"html":     func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>" + enforcing)) },
		"no status 200": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(201)
			_, _ = w.Write([]byte(enforcing))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			z := exampleOrg()
			z.txt["_mta-sts.example.org."] = []string{"v=STSv1; id=1"}
			h, s := withPolicy(t, ca, z)
			h.say(answer)
			if p, err := s.policy(t.Context(), "example.org"); p != nil || err != nil || h.asked.Load() != 1 {
				t.Errorf("%+v, %v after %d requests", p, err, h.asked.Load())
			}
		})
	}
	z := exampleOrg()
	z.txt["_mta-sts.example.org."] = []string{"v=STSv1; id=1"}
	h, s := withPolicy(t, ca, z)
	s.client.Transport.(*http.Transport).TLSClientConfig.RootCAs = newAuthority(t).pool()
	if p, _ := s.policy(t.Context(), "example.org"); p != nil {
		t.Error("a policy of a host that nobody has certified counts")
	}
	public := New(Options{Resolver: z, Policies: &memoryPolicies{}, Roots: ca.pool()}).sts
	if _, err := public.get(t.Context(), "example.org"); err == nil || !strings.Contains(err.Error(), "public address only") || h.asked.Load() != 0 {
		t.Errorf("a policy on this computer: %v", err)
	}
}

// TestAnEnforcedPolicyDecides plays what servers do under a policy that is kept.
func TestAnEnforcedPolicyDecides(t *testing.T) {
	t.Parallel()
	const plain = "S: 220 ready\nC: EHLO relay.example.com\nS: 250 mx.example.org\nC: QUIT\n! reset\n"
	handshake := strings.Split(overTLS, "! tls")[0] + "! tls refused\n"
	for name, c := range map[string]struct{ mx, mode, certificate, script, want string }{
		"as it should be":     {"mx.example.org", ModeEnforce, "mx.example.org", overTLS, "mx.example.org [192.0.2.1]: 250 2.0.0 ok (TLS1.3)"},
		"another certificate": {"mx.example.org", ModeEnforce, "mx.example.net", handshake, "mx.example.org [192.0.2.1]: 4.7.5 the TLS handshake failed: tls: failed to verify certificate: x509: certificate is valid for mx.example.net, not mx.example.org (temporary)"},
		"no TLS":              {"mx.example.org", ModeEnforce, "mx.example.org", plain, "mx.example.org [192.0.2.1]: 4.7.4 the server does no TLS, which is demanded by the policy of example.org (MTA-STS) (temporary)"},
		"another server":      {"other.example.org", ModeEnforce, "mx.example.org", "", "4.7.5 mx.example.org is no mail server that example.org has named in its policy (MTA-STS) (temporary)"},
		"testing":             {"other.example.org", ModeTesting, "mx.example.net", overTLS, "mx.example.org [192.0.2.1]: 250 2.0.0 ok (TLS1.3)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ca, cache := newAuthority(t), &memoryPolicies{}
				_ = cache.SetPolicy(t.Context(), "example.org", Policy{ID: "1", Mode: c.mode, MX: []string{c.mx}, Until: time.Now().Add(time.Hour)})
				p := &peers{t: t, tls: ca.server(c.certificate)}
				if c.script != "" {
					p.scripts = []string{c.script}
				}
				m := mailOf(t, "to a@example.org\n\nSubject: x\n\n")
				v, safety := sendBy(t, New(Options{Name: "relay.example.com", Resolver: exampleOrg(), Own: nobody, Dial: p.dial, Roots: ca.pool(), Policies: cache}), m)
				p.playing.Wait()
				if want := map[string]Security{"as it should be": STS, "testing": StartTLS}[name]; safety != want {
					t.Errorf("protected by %q, want %q", safety, want)
				}
				if told(v) != c.want || len(p.dialled) != len(p.scripts) {
					t.Errorf("%s, want %s; dialled %v", told(v), c.want, p.dialled)
				}
			})
		})
	}
}

// sendOne sends m to example.org over a line of its own, and returns the verdict of its first recipient.
func sendOne(t *testing.T, r *Relay, m delivery.Mail) *delivery.Verdict {
	t.Helper()
	v, _ := sendBy(t, r, m)
	return v
}

// sendBy tells as well how the connection was protected; "" when there was none.
func sendBy(t *testing.T, r *Relay, m delivery.Mail) (*delivery.Verdict, Security) {
	t.Helper()
	line, err := r.Open(t.Context(), "example.org", m)
	if err != nil {
		return err.(*delivery.Verdict), ""
	}
	defer line.Close()
	verdicts, _ := line.Send(t.Context(), m)
	return &verdicts[0], line.Security()
}
