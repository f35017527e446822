package relay

import (
	"crypto/x509"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/tools/txtar"

	"chmail/internal/delivery"
)

// TestDialogues plays testdata/*.txtar: each file "dialogue" is the script of a connection in the order in which they are made, each file "mail" a mail for
// example.org that is sent over the line, and each file "verdicts" what is to become of it, "again" behind them when the line takes more mails. "open" is the verdict when no
// line comes about. Words behind "options:" in the text before the first file: "smarthost", with "login", "implicit", "opportunistic"; "untrusted", a certificate of somebody's; "second", example.org has another server, mx2; "convert".
func TestDialogues(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no dialogues", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) { play(t, a) })
		})
	}
}

func play(t *testing.T, a *txtar.Archive) {
	p := &peers{t: t}
	var mails []delivery.Mail
	var want, got []string
	for _, f := range a.Files {
		switch data := string(f.Data); f.Name {
		case "dialogue":
			p.scripts = append(p.scripts, data)
		case "mail":
			mails = append(mails, mailOf(t, data))
		case "verdicts", "open":
			want = append(want, data)
		default:
			t.Fatalf("file %q", f.Name)
		}
	}
	ca := newAuthority(t)
	p.tls = ca.server("mx.example.org", "smart.example.net")
	o := Options{Name: "relay.example.com", Resolver: exampleOrg(), Own: nobody, Dial: p.dial, Roots: ca.pool()}
	_, options, _ := strings.Cut(string(a.Comment), "options:")
	destination := configure(t, &o, strings.Fields(options))
	line, err := New(o).Open(t.Context(), destination, mails[0])
	if err != nil {
		got = append(got, told(err.(*delivery.Verdict))+"\n")
	} else {
		for _, m := range mails {
			verdicts, again := line.Send(t.Context(), m)
			var b strings.Builder
			for i := range verdicts {
				b.WriteString(m.To[i].Address.String() + ": " + told(&verdicts[i]) + "\n")
			}
			if again {
				b.WriteString("again\n")
			}
			got = append(got, b.String())
		}
		line.Close()
	}
	p.playing.Wait()
	if g, w := strings.Join(got, "--\n"), strings.Join(want, "--\n"); g != w {
		t.Errorf("verdicts:\n%swant:\n%s", g, w)
	}
	if len(p.dialled) != len(p.scripts) {
		t.Errorf("connections to %v, want %d", p.dialled, len(p.scripts))
	}
}

// configure sets what the words of a dialogue's options say, and returns the destination.
func configure(t *testing.T, o *Options, words []string) (destination string) {
	destination = "example.org"
	smart := Smarthost{Host: "smart.example.net"}
	for _, word := range words {
		switch word {
		case "smarthost":
			destination = "smarthost:out"
		case "login":
			smart.Login, smart.Password = "alice", "secret"
		case "implicit":
			smart.TLS = TLSImplicit
		case "opportunistic":
			smart.TLS = TLSOpportunistic
		case "convert":
			o.Downgrade = func(body io.ReaderAt, size int64) (io.ReaderAt, int64, []byte, error) {
				converted, size, err := SevenBit(body, size)
				return converted, size, []byte("DKIM-Signature: new\r\n"), err
			}
		case "second":
			z := exampleOrg()
			z.mx["example.org."] = append(z.mx["example.org."], "20 mx2.example.org.")
			z.ip["mx2.example.org."] = []string{"192.0.2.2"}
			o.Resolver = z
		case "untrusted":
			o.Roots = x509.NewCertPool()
		default:
			t.Fatalf("option %q", word)
		}
	}
	o.Smarthosts = map[string]Smarthost{"out": smart}
	return destination
}
