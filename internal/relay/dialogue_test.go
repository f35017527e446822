package relay

import (
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/tools/txtar"

	"chmail/internal/delivery"
)

// TestDialogues plays testdata/*.txtar: each file "dialogue" is the script of a connection in the order in which they are made, each file "mail" a mail for
// example.org that is sent over the line, and each file "verdicts" what is to become of it, "again" behind them when the line takes more mails. "open" is the verdict when no
// line comes about. Lines "options: WORD, WORD" before the first file: "smarthost", "convert", "sts", "no tls".
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
	o := Options{Name: "relay.example.com", Resolver: exampleOrg(), Own: nobody, Dial: p.dial}
	line, err := New(o).Open(t.Context(), "example.org", mails[0])
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
