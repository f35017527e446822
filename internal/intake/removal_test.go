package intake

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"chmail/internal/message"
)

const carol = "carol@example.com"

// while is the text of a mail in the middle of which something happens.
func while(text string, happens func()) io.Reader {
	half := len(text) / 2
	return io.MultiReader(strings.NewReader(text[:half]), event(happens), strings.NewReader(text[half:]))
}

// event happens when it is read.
type event func()

func (e event) Read([]byte) (int, error) {
	e()
	return 0, io.EOF
}

// Whoever is given the address next must not read what was for the one before.
func TestMailForAnAccountThatIsRemovedWhileItComes(t *testing.T) {
	t.Parallel()
	body := "Hello.\n"
	for name, long := range map[string]string{"small": body, "in a blob": strings.Repeat("0123456789\n", 10_000)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t)
			removed := func() { o.remove(bob, noon.Add(-time.Second)) }
			o.isRefusal(o.Submit(context.Background(), toBob(), while(letter("", long), removed)), 550, "any more")
			r := o.isRefusal(o.Accept(context.Background(), fromOutside(), strings.NewReader(outside("", long))), 550, "any more")
			if r.Enhanced != [3]int{5, 1, 1} {
				t.Errorf("refused with %v", r.Enhanced)
			}
		})
	}
}

func TestMailGoesToThoseWhoAreLeft(t *testing.T) {
	t.Parallel()
	for _, removed := range [][]string{{bob}, {carol}, {"dave@example.com"}, {bob, carol}, {bob, "dave@example.com"}} {
		o := newOffice(t)
		env := toBob()
		env.Drops = [][]string{{bob}, {carol}, {"dave@example.com"}}
		env.To = append(env.To, must(carol), must("dave@example.com"))
		for _, login := range removed {
			o.remove(login, noon.Add(-time.Second))
		}
		if err := o.Submit(context.Background(), env, strings.NewReader(letter("", "Hello.\n"))); err != nil {
			t.Fatal(err)
		}
		for _, login := range slices.Concat(env.Drops...) {
			if gone := slices.Contains(removed, login); o.has(login) == gone {
				t.Errorf("%v are removed, and that %s has the mail is %v", removed, login, !gone)
			}
		}
		if log := o.log.String(); strings.Count(log, "removed meanwhile") != 1 || !strings.Contains(log, removed[0]) || !strings.Contains(log, env.ID) {
			t.Errorf("the log says %q", log)
		}
	}
}

func TestAnAddressThatWasGivenAgainBeforeTheMailBegan(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	o.remove(bob, noon.Add(-time.Hour))
	o.submit(letter("", "Hello.\n"))
}

func TestANoticeAboutACallToTheAccountBefore(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	notice := message.Notice{To: bob, Host: host, Link: "https://chat.example.com/desk/c/1", At: noon}
	raw, err := notice.Build()
	if err != nil {
		t.Fatal(err)
	}
	o.remove(bob, noon.Add(time.Second))
	o.isRefusal(o.Notify(context.Background(), bob, noon, bytes.NewReader(raw)), 550, "any more")
	if err := o.Notify(context.Background(), bob, noon.Add(time.Minute), bytes.NewReader(raw)); err != nil {
		t.Errorf("about a call to the account of now: %v", err)
	}
}

// A session goes on after its account was removed, and its address may be somebody else's by now.
func TestASessionOfARemovedAccountWritesInNobodysName(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	env := toBob()
	o.remove(alice, env.SignedIn.Add(time.Minute))
	r := o.isRefusal(o.Submit(context.Background(), env, strings.NewReader(letter("", "After.\n"))), 421, "sign in again")
	if !r.Close || r.Enhanced != [3]int{4, 7, 0} {
		t.Errorf("refused with %v, and the session ends: %v", r.Enhanced, r.Close)
	}
	env = toBob()
	env.SignedIn = env.SignedIn.Add(2 * time.Minute) // the next holder
	if err := o.Submit(context.Background(), env, strings.NewReader(letter("", "Anew.\n"))); err != nil {
		t.Error(err)
	}
}
