package chatd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"chmail/internal/message"
)

// postbox takes transcripts.
type postbox struct {
	mu   sync.Mutex
	got  []string
	fail error

	codes   []string // whom codes were mailed to
	code    string   // the last
	answers []string
	invited []string // whom to tell, and by whom
}

// Colleague knows Carol and Dave, in any spelling.
func (p *postbox) Colleague(_ context.Context, login string) (Colleague, error) {
	switch login = strings.ToLower(strings.TrimSpace(login)); login {
	case alice, carol, dave:
		return Colleague{Login: login, Name: map[string]string{alice: "Alice Example", carol: "Carol Example"}[login]}, nil
	}
	return Colleague{}, ErrNoColleague
}

func (p *postbox) Invite(_ context.Context, to, from string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.invited = append(p.invited, to+" by "+from)
	return nil
}

func (p *postbox) Reaches(address string) bool { return strings.HasSuffix(address, "@example.com") }

func (p *postbox) Code(_ context.Context, to, code, language string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.codes = append(p.codes, to+" "+language)
	p.code = code
	return p.fail
}

func (p *postbox) Answer(_ context.Context, to, language string, t Transcript) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fail != nil {
		return p.fail
	}
	said := []string{to + " " + language}
	if t.Whole {
		said = append(said, "all")
	}
	for _, e := range t.Entries {
		said = append(said, e.From+": "+e.Text)
	}
	p.answers = append(p.answers, strings.Join(said, " | "))
	return nil
}

// answered checks the mails to visitors since it was last looked.
func (p *postbox) answered(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.Equal(p.answers, want) {
		t.Errorf("mailed %q, want %q", p.answers, want)
	}
	p.answers = nil
}

// lastCode is the code that was mailed last, and how many were.
func (p *postbox) lastCode() (code string, n int) {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.code, len(p.codes)
}

func (p *postbox) options(o *Options) { o.Post, o.TranscriptAfter = p, 30*time.Minute }

func (p *postbox) Transcript(_ context.Context, t Transcript) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fail != nil {
		return p.fail
	}
	said := []string{fmt.Sprint(t.Login, " with ", t.Who, " about ", t.About, ", link ", t.Link)}
	for _, e := range t.Entries {
		said = append(said, e.From+": "+e.Text)
	}
	if t.More {
		said = append(said, "more before")
	}
	if t.Ended {
		said = append(said, "ended")
	}
	p.got = append(p.got, strings.Join(said, " | "))
	return nil
}

func (p *postbox) fails(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fail = err
}

// has checks the transcripts that have come since it was last looked.
func (p *postbox) has(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.Equal(p.got, want) {
		t.Errorf("transcripts %q, want %q", p.got, want)
	}
	p.got = nil
}

// transcribing is a story in a house whose owners are sent transcripts.
func transcribing(t *testing.T, story func(t *testing.T, h *house, p *postbox)) {
	t.Parallel()
	inBubble(t, func(t *testing.T, h *house) {
		p := &postbox{}
		h.stop()
		h.start(p.options)
		story(t, h, p)
	})
}

const aboutRoof = alice + " with Bob about Offer for the roof, link 1"

func TestTheOwnerIsSentWhatWasSaid(t *testing.T) {
	transcribing(t, func(t *testing.T, h *house, p *postbox) {
		bob, conv := h.talking(offer, "Bob")
		bob.send(frame{"t": "name", "name": "Bob"})
		bob.send(frame{"t": "say", "cid": "1", "text": "Does it include the scaffolding?"})
		bob.expect("ack")
		bob.send(frame{"t": "say", "cid": "2", "text": "taken back"})
		n := bob.expect("ack")["n"]
		bob.send(frame{"t": "delete", "cid": "3", "n": n})
		bob.expect("ack")
		desk := h.desk(alice)
		desk.send(frame{"t": "say", "conv": conv, "cid": "a", "text": "It does."})
		desk.expect("ack")
		time.Sleep(time.Hour) // he is there, and says nothing
		p.has(t)
		bob.cut()
		time.Sleep(29 * time.Minute)
		time.Sleep(4 * time.Minute)
		p.has(t, aboutRoof+" | visitor: Does it include the scaffolding? | owner: It does.")
		time.Sleep(24 * time.Hour)
		p.has(t)

		bob = h.reader(offer, "Bob", 0, 0)
		bob.send(frame{"t": "say", "cid": "4", "text": "Thank you."})
		bob.expect("ack")
		bob.cut()
		time.Sleep(10 * time.Minute)
		p.has(t)
		time.Sleep(25 * time.Minute)
		p.has(t, aboutRoof+" | visitor: Thank you.")

		h.reader(offer, "Bob", 0, 0).cut() // looks in
		time.Sleep(2 * time.Hour)
		p.has(t)
	})
}

func TestAConversationThatIsEndedIsSentAtOnce(t *testing.T) {
	transcribing(t, func(t *testing.T, h *house, p *postbox) {
		bob, conv := h.talking(offer, "Bob")
		bob.send(frame{"t": "name", "name": "Bob"})
		bob.send(frame{"t": "say", "cid": "1", "text": "hello"})
		bob.expect("ack")
		_, other := h.talking(quote, "Mina") // says nothing
		desk, carols := h.desk(alice), h.desk(carol)
		desk.send(frame{"t": "end", "conv": conv})
		carols.send(frame{"t": "end", "conv": other})
		p.has(t, aboutRoof+" | visitor: hello | ended")
		time.Sleep(24 * time.Hour)
		p.has(t)
	})
}

func TestATranscriptThatCannotBeSentIsTriedAgain(t *testing.T) {
	transcribing(t, func(t *testing.T, h *house, p *postbox) {
		bob, conv := h.talking(offer, "Bob")
		bob.send(frame{"t": "name", "name": "Bob"})
		bob.send(frame{"t": "say", "cid": "1", "text": "hello"})
		bob.expect("ack")
		p.fails(errors.New("disk is full"))
		desk := h.desk(alice)
		desk.send(frame{"t": "end", "conv": conv})
		time.Sleep(time.Hour)
		p.fails(nil)
		time.Sleep(transcriptRetry)
		p.has(t, aboutRoof+" | visitor: hello | ended")

		mina, minas := h.talking(offer, "Mina")
		mina.send(frame{"t": "say", "cid": "1", "text": "hello"})
		mina.expect("ack")
		p.fails(message.Refuse(550, [3]int{5, 1, 1}, "no such mailbox"))
		desk.send(frame{"t": "end", "conv": minas})
		synctest.Wait()
		p.fails(nil)
		time.Sleep(24 * time.Hour)
		p.has(t) // refused for good
	})
}

func TestATranscriptIsSentByTheNextStart(t *testing.T) {
	transcribing(t, func(t *testing.T, h *house, p *postbox) {
		bob, _ := h.talking(offer, "Bob")
		bob.send(frame{"t": "name", "name": "Bob"})
		bob.send(frame{"t": "say", "cid": "1", "text": "hello"})
		bob.expect("ack")
		h.stop()
		time.Sleep(time.Hour)
		p.has(t)
		h.start(p.options)
		p.has(t, aboutRoof+" | visitor: hello")
		h.stop()
		h.start(p.options)
		p.has(t)
	})
}

func TestALongTranscriptIsItsLatestPart(t *testing.T) {
	transcribing(t, func(t *testing.T, h *house, p *postbox) {
		_, conv := h.talking(offer, "Bob")
		rec, err := h.srv.store.own(t.Context(), conv)
		if err != nil {
			t.Fatal(err)
		}
		var add []*event
		for i := range 150 {
			add = append(add, &event{Kind: kindSay, From: visitor, CID: fmt.Sprint(i), At: time.Now(), Text: strings.Repeat("x", 4000)})
		}
		if _, err := h.srv.store.save(t.Context(), &rec, add); err != nil {
			t.Fatal(err)
		}
		list, more, err := h.srv.store.spoken(t.Context(), rec.key, 0, rec.last)
		if err != nil || !more || len(list) != transcriptTexts/4000 || list[len(list)-1].N != rec.last {
			t.Errorf("%d entries, more %v, %v", len(list), more, err)
		}
	})
}
