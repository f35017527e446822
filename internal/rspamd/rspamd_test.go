package rspamd

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"chmail/internal/address"
	"chmail/internal/message"
)

// judge is an rspamd that says one thing, and notes what it was asked.
type judge struct {
	says   string
	status int
	asked  *http.Request
	mail   string
}

func (j *judge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	j.asked, j.mail = r, string(b)
	status := j.status
	switch {
	case r.URL.Path == "/elsewhere":
		status = 200
	case status/100 == 3:
		w.Header().Set("Location", "/elsewhere") // 307 would bring the mail there as well
	}
	w.WriteHeader(status)
	fmt.Fprint(w, j.says)
}

func mailFrom(t *testing.T, from string, to ...string) *message.Envelope {
	t.Helper()
	parse := func(s string) address.Address {
		a, err := address.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	env := &message.Envelope{ID: "id1", From: parse(from), Helo: "mx\x01.elsewhere.test", Peer: netip.MustParseAddr("::ffff:192.0.2.7")}
	for _, a := range to {
		env.To = append(env.To, parse(a))
	}
	return env
}

func TestWhatIsToBeDoneWithAMail(t *testing.T) {
	t.Parallel()
	const mail = "From: x@elsewhere.test\r\n\r\nHello.\r\n"
	for name, c := range map[string]struct {
		says   string
		status int
		want   Action
		fails  bool
	}{
		"nothing":      {`{"action": "no action", "score": -1.5, "symbols": {"X": {}}}`, 200, Accept, false},
		"a field":      {`{"action": "add header", "score": 7}`, 200, Mark, false},
		"a subject":    {`{"action": "rewrite subject", "score": 7, "subject": "*** x"}`, 200, Mark, false},
		"greylisting":  {`{"action": "greylist", "score": 4}`, 200, Accept, false},
		"quarantine":   {`{"action": "quarantine", "score": 9}`, 200, Mark, false},
		"discard":      {`{"action": "discard", "score": 30}`, 200, Reject, false},
		"softly":       {`{"action": "soft reject", "score": 0}`, 200, Later, false},
		"refuse":       {`{"action": "reject", "score": 22}`, 200, Reject, false},
		"unknown":      {`{"action": "explode", "score": 22}`, 200, 0, true},
		"no action":    {`{"score": 22}`, 200, 0, true},
		"no JSON":      {`<html>`, 200, 0, true},
		"trouble":      {`{"action": "no action"}`, 500, 0, true},
		"without end":  {`{"action": "no action", "x": "` + strings.Repeat("x", maxAnswer) + `"}`, 200, 0, true},
		"a redirect":   {`{"action": "no action"}`, 302, 0, true},
		"another":      {`{"action": "no action"}`, 307, 0, true},
		"no answer":    {``, 200, 0, true},
		"of its kind?": {`[]`, 200, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := &judge{says: c.says, status: c.status}
			srv := httptest.NewServer(j)
			t.Cleanup(srv.Close)
			client := New(Options{URL: srv.URL + "/", Password: "sesame", Within: time.Minute, Hostname: "mail.example.com"})
			t.Cleanup(client.Close)
			v, err := client.Check(t.Context(), mailFrom(t, "x@elsewhere.test", "bob@example.com", "dora@example.com"), strings.NewReader(mail))
			if (err != nil) != c.fails || v.Action != c.want {
				t.Errorf("%+v, %v", v, err)
			}
			h := j.asked.Header
			if j.asked.URL.Path != "/checkv2" || j.mail != mail || h.Get("IP") != "192.0.2.7" || h.Get("From") != "x@elsewhere.test" || strings.Join(h["Rcpt"], " ") != "bob@example.com dora@example.com" ||
				h.Get("Helo") != "mx?.elsewhere.test" || h.Get("Queue-Id") != "id1" || h.Get("MTA-Name") != "mail.example.com" || h.Get("Password") != "sesame" || j.asked.ContentLength != int64(len(mail)) {
				t.Errorf("asked %s with %v about %q", j.asked.URL, h, j.mail)
			}
		})
	}
}

// TestNobodyPutsLinesIntoTheQuestion: an envelope has a stranger's words, and so may whatever reads it next.
func TestNobodyPutsLinesIntoTheQuestion(t *testing.T) {
	t.Parallel()
	j := &judge{says: `{"action": "no action"}`, status: 200}
	srv := httptest.NewServer(j)
	t.Cleanup(srv.Close)
	client := New(Options{URL: srv.URL, Within: time.Minute, Hostname: "mail.example.com"})
	t.Cleanup(client.Close)
	env := mailFrom(t, "x@elsewhere.test")
	env.From.Local, env.To = "x\r\nIP: 127.0.0.1\r\ny", append(env.To, address.Address{Local: "a\x7fb\nc", Domain: "example.com"})
	if _, err := client.Check(t.Context(), env, strings.NewReader("x")); err != nil {
		t.Fatal(err) // the question could not be put, and the mail would not be looked at
	}
	if h := j.asked.Header; strings.ContainsAny(h.Get("From")+h.Get("Rcpt"), "\r\n\x7f") || h.Get("IP") != "192.0.2.7" || !strings.Contains(h.Get("From"), "x??IP: 127.0.0.1??y") {
		t.Errorf("asked with %q", h)
	}
}

func TestWhoDoesNotAnswerIsNotWaitedForLonger(t *testing.T) {
	t.Parallel()
	end := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-end }))
	t.Cleanup(srv.Close)
	t.Cleanup(func() { close(end) })
	client := New(Options{URL: srv.URL, Within: 50 * time.Millisecond, Hostname: "mail.example.com"})
	if v, err := client.Check(t.Context(), mailFrom(t, "x@elsewhere.test"), strings.NewReader("x")); err == nil {
		t.Errorf("%+v", v)
	}
}

// FuzzAnswer reads whatever may come as an answer.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"action": "add header", "score": 7.5}`))
	f.Add([]byte(`{"action": null, "score": "7"}`))
	f.Add([]byte(`{"action": ["reject"]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if v, err := parse(text); err == nil && (v.Action < Accept || v.Action > Reject) {
			t.Errorf("%+v", v)
		}
	})
}

func TestWhetherAnRspamdIsThere(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		judge judge
		err   string // "" for none
	}{
		"it is": {judge{says: "pong\r\n", status: 200}, ""}, "something else": {judge{says: "<html>It works!", status: 200}, "no rspamd"}, "nothing under this name": {judge{says: "pong", status: 404}, "status 404"},
		"elsewhere": {judge{says: "pong", status: 307}, "status 307"},
	} {
		server := httptest.NewServer(&c.judge)
		client := New(Options{URL: server.URL + "/", Password: "hunter2", Within: 5 * time.Second})
		err := client.Ping(t.Context())
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v", name, err)
		}
		if r := c.judge.asked; r == nil || r.Method != "GET" || r.URL.Path != "/ping" || r.Header.Get("Password") != "" {
			t.Errorf("%s: asked %+v", name, r)
		}
		server.Close()
		if err := client.Ping(t.Context()); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s, and then gone: %v", name, err)
		}
		client.Close()
	}
}
