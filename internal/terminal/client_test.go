package terminal

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestNothingIsSentBeforeAPersonWrites(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *far) {
		l := f.begin(func(o *Options) { o.Name = "  Bob\x1b[31m \u202eBrown " })
		if j := l.expect("join"); j["name"] != "Bob[31m Brown" || j["last"] != 0.0 {
			t.Errorf("join: %v", j)
		}
		l.send(`{"t":"joined","conv":"","last":0,"owner":"Alice","about":"Offer"}`)
		f.is(Up{Owner: "Alice", About: "Offer"})
		got := make(chan map[string]any, 1)
		go func() { got <- l.expect("intent") }()
		synctest.Wait()
		if len(got) > 0 {
			t.Error("the owner is called before anybody has written")
		}
		f.client.Intent()
		<-got
		f.client.Name("Robert")
		if n := l.expect("name"); n["name"] != "Robert" {
			t.Errorf("name: %v", n)
		}
		l.send(`{"t":"call","conv":"c","state":"ringing"}`)
		f.is(Call{"ringing"})
		f.say("At tne")
		l.expect("say")
		cid, _ := f.client.TryChange(1, "At ten")
		if e := l.expect("edit"); e["n"] != 1.0 || e["text"] != "At ten" || e["cid"] != cid {
			t.Errorf("edit: %v", e)
		}
		cid, _ = f.client.TryChange(1, "")
		if e := l.expect("delete"); e["n"] != 1.0 || e["cid"] != cid {
			t.Errorf("delete: %v", e)
		}
		f.leave()
		l.goodbye()
		if err := <-f.ended; err != nil {
			t.Error(err)
		}
	})
}

func TestABrokenLineLosesNothingAndDoublesNothing(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *far) {
		l := f.begin()
		l.join(0, 1)
		f.is(Up{"Alice", "Offer", "", 1, ""})
		l.event(1, "owner", "", "hello")
		f.is(Event{N: 1, Kind: "say", Text: "hello", At: at})
		first := f.say("one")
		l.expect("intent")
		if s := l.expect("say"); s["cid"] != first || s["text"] != "one" {
			t.Errorf("said: %v", s)
		}
		second := f.say("two")
		l.expect("say")
		l.ack(first, 2)
		f.is(Sent{first, 2})
		l.cut() // the second is on its way, and committed as event 3
		f.down()
		third := f.say("three")
		l = <-f.lines
		l.join(2, 4)
		f.is(Up{"Alice", "Offer", "", 4, ""})
		l.expect("intent") // the same call
		if s := l.expect("say"); s["cid"] != second {
			t.Errorf("said again: %v, want the second", s)
		}
		if s := l.expect("say"); s["cid"] != third {
			t.Errorf("said: %v, want the third", s)
		}
		l.event(3, "visitor", second, "two")
		f.is(Event{N: 3, Kind: "say", Mine: true, Text: "two", At: at, CID: second})
		l.event(4, "owner", second, "the owner's ids are his own")
		f.is(Event{N: 4, Kind: "say", Text: "the owner's ids are his own", At: at})
		l.ack(second, 3) // the answer to having said it again
		l.ack(third, 6)  // before event 5 is told
		f.is(Sent{third, 6})
		l.event(5, "owner", "", "five")
		f.is(Event{N: 5, Kind: "say", Text: "five", At: at})
		l.event(6, "visitor", third, "three") // known already
		l.event(7, "owner", "", "seven")
		f.is(Event{N: 7, Kind: "say", Text: "seven", At: at})
		l.event(7, "owner", "", "seven") // once is enough
		l.send(`{"t":"error","code":"text","text":"only text","cid":"unknown"}`)
		l.cut()
		f.down()
		l = <-f.lines
		l.join(7, 7)
		if f.pages != 3 {
			t.Errorf("the page was fetched %d times, want once for each line, so that the owner's port is open", f.pages)
		}
	})
}

var at = time.Date(2026, 11, 26, 2, 0, 0, 0, time.UTC)

func TestAHoleIsFilledByAskingAgain(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *far) {
		l := f.begin()
		l.join(0, 3)
		f.is(Up{"Alice", "Offer", "", 3, ""})
		l.event(1, "owner", "", "one")
		f.is(Event{N: 1, Kind: "say", Text: "one", At: at})
		began := time.Now()
		l.event(3, "owner", "", "three") // is not shown
		f.down()
		if d := time.Since(began); d < holeWithin || d > 2*holeWithin {
			t.Errorf("taken up anew after %v", d)
		}
		l = <-f.lines
		l.join(1, 3)
		f.is(Up{"Alice", "Offer", "", 3, ""})
		l.event(3, "owner", "", "three")
		l.event(2, "owner", "", "two")
		f.is(Event{N: 2, Kind: "say", Text: "two", At: at})
		l.event(3, "owner", "", "three") // it came again, in time
		f.is(Event{N: 3, Kind: "say", Text: "three", At: at})
		time.Sleep(5 * time.Second)
		if len(f.told) > 0 {
			t.Errorf("told %#v", <-f.told)
		}
	})
}

func TestAGapBeginsAnew(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *far) {
		l := f.begin()
		l.join(0, 1)
		f.is(Up{"Alice", "Offer", "", 1, ""})
		l.event(1, "owner", "", "one")
		<-f.told
		l.cut()
		f.down()
		l = <-f.lines
		l.expect("join")
		l.send(`{"t":"error","code":"gap","text":"begin again from the first event"}`)
		f.is(Anew{})
		f.down()
		(<-f.lines).join(0, 1)
	})
}

func TestTheServerSaysWhenToComeBack(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *far) {
		l := f.begin()
		l.join(0, 0)
		f.is(Up{Owner: "Alice", About: "Offer"})
		began := time.Now()
		l.send(`{"t":"bye","reason":"restart","after_ms":42000}`)
		if d := f.down(); d.Wait != 42*time.Second {
			t.Errorf("waits %v", d.Wait)
		}
		l = <-f.lines
		if d := time.Since(began); d < 42*time.Second || d > 43*time.Second {
			t.Errorf("back after %v", d)
		}
		l.join(0, 0)
		<-f.told
		l.send(`{"t":"bye","reason":"replaced","after_ms":0}`)
		if err := <-f.ended; !errors.Is(err, ErrElsewhere) {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestWhatEndsForGood(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]error{"link": ErrLink, "full": ErrFull, "version": ErrVersion, "cookie": ErrCookie} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, f *far) {
				l := f.begin()
				l.expect("join")
				l.send(`{"t":"error","code":"` + code + `","text":"…"}`)
				if err := <-f.ended; !errors.Is(err, want) {
					t.Errorf("ended with %v", err)
				}
			})
		})
	}
	inBubble(t, func(t *testing.T, f *far) {
		l := f.begin()
		l.expect("join")
		l.send(`{"t":"error","code":"refused","text":"…"}`) // passes
		f.down()
		l = <-f.lines
		l.cut()
		f.down()
		f.mu.Lock()
		f.page = http.NotFound
		f.mu.Unlock()
		if err := <-f.ended; !errors.Is(err, ErrLink) { // it has ended meanwhile
			t.Errorf("ended with %v", err)
		}
	})
}

func TestTriesAreFurtherAndFurtherApart(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *far) {
		l := f.begin()
		l.join(0, 0)
		<-f.told
		f.mu.Lock()
		f.shut["8080"], f.shut["24000"] = true, true
		f.mu.Unlock()
		l.cut()
		for i := range 12 {
			longest := min(firstWait<<i, longestWait)
			if d := f.down(); d.Wait < longest/2 || d.Wait > longest {
				t.Errorf("try %d after %v, want %v to %v", i, d.Wait, longest/2, longest)
			}
		}
		f.mu.Lock()
		f.shut["8080"] = false
		f.mu.Unlock()
		for {
			select {
			case <-f.told:
				continue
			case l = <-f.lines: // through the web port, since the chat port is closed
			}
			break
		}
		if l.port != "8080" {
			t.Errorf("came in on %s", l.port)
		}
	})
}

func TestAPortThatDoesNotAnswerHasAHeadStartOnly(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *far) {
		delete(f.in, "24000")
		f.in["24000"] = make(chan net.Conn) // a firewall: nobody takes the connection, nobody refuses it
		began := time.Now()
		l := f.begin()
		if d := time.Since(began); l.port != "8080" || d < headStart || d > 2*headStart {
			t.Errorf("came in on %s after %v", l.port, d)
		}
		l.join(0, 0)
	})
}

func TestASilentLineIsTakenUpAnew(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *far) {
		l := f.begin()
		l.join(0, 0)
		<-f.told
		cid := f.say("anybody?")
		l.expect("intent")
		l.expect("say")
		began := time.Now()
		f.down()
		if d := time.Since(began); d < ackWithin || d > ackWithin+2*watchEvery {
			t.Errorf("given up after %v", d)
		}
		l = <-f.lines
		l.join(0, 0)
		<-f.told
		l.expect("intent")
		if s := l.expect("say"); s["cid"] != cid {
			t.Errorf("said again: %v", s)
		}
		l.ack(cid, 1)
		f.is(Sent{cid, 1})
		began = time.Now() // and now not even a ping
		f.down()
		if d := time.Since(began); d < pingWithin || d > pingWithin+2*watchEvery {
			t.Errorf("given up after %v", d)
		}
	})
}

func TestManyMessagesGoInOrderAFewAtATime(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, f *far) {
		l := f.begin()
		l.join(0, 0)
		<-f.told
		var cids []string
		for i := range maxWaiting {
			cids = append(cids, f.say(fmt.Sprint("message ", i)))
		}
		if _, ok := f.client.TrySay("one too many"); ok {
			t.Error("more is taken than may wait")
		}
		l.expect("intent")
		for n, cid := range cids {
			for range map[bool]int{true: underWay, false: 1}[n == 0] {
				if n+underWay <= len(cids) || n == 0 {
					l.expect("say")
				}
			}
			l.ack(cid, n+1)
			f.is(Sent{cid, int64(n + 1)})
		}
		cid := f.say("what the server does not take")
		l.expect("say")
		l.send(`{"t":"error","code":"text","text":"only text","cid":"` + cid + `"}`)
		f.is(Refused{cid, "only text"})
	})
}

func TestOnlyChatLinksAreFollowed(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		" <https://Chat.Example.com:443/c/AAAA?lang=ja> ": "https://chat.example.com", "http://localhost:8080/c/AAAA": "http://localhost:8080",
		"http://[::1]:8080/c/AAAA": "http://[::1]:8080", "http://127.0.0.1/c/AAAA": "http://127.0.0.1",
		"http://chat.example.com/c/AAAA": "", "https://chat.example.com/": "", "https://chat.example.com/c/": "", "https://chat.example.com/c/../desk": "",
		"https://a:b@chat.example.com/c/AAAA": "", "ftp://chat.example.com/c/AAAA": "", "AAAA": "", "": "", "https:///c/AAAA": "", "http://localhost.example.com/c/AAAA": "",
	} {
		l, err := ParseLink(text)
		if (err == nil) != (want != "") || err == nil && l.Site() != want {
			t.Errorf("%q: %v, %v", text, l, err)
		}
	}
}

func TestAPageOfSomebodyElseIsLeftAlone(t *testing.T) {
	t.Parallel()
	for name, page := range map[string]func(w http.ResponseWriter, r *http.Request){
		"no page of ours": func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "<h1>Welcome</h1>") },
		"sockets elsewhere": func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, readerPage("Alice", "ws://evil.example/ws wss://localhost/ws ws://localhost:1/desk/ws"))
		},
		"somewhere else": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://evil.example/c/AAAA", http.StatusFound)
		},
		"no cookie": func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, readerPage("Alice", "ws://localhost:8080/ws"))
		},
		"a page without any end": func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, strings.Repeat("<p>", maxPage)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, f *far) {
				f.page = page
				link, err := ParseLink(site + "/c/" + tok)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := New(Options{Link: link, Dial: f.dial}).Open(t.Context()); !errors.Is(err, ErrForeign) {
					t.Errorf("opened: %v", err)
				}
				if len(f.dials) != 1 {
					t.Errorf("connected to %v", f.dials)
				}
			})
		})
	}
}

func TestTheDoorSaysWhomOneTalksTo(t *testing.T) {
	t.Parallel()
	d, err := readPage(strings.NewReader(readerPage("Alice\x1b[2J \u202eExample", "ws://a/ws ws://b/ws")))
	if err != nil || d.Title() != "Talk with Alice\uFFFD[2J \uFFFDExample <alice@example.com>" || d.About() != "about the mail “Offer for the roof”" || !slices.Equal(d.sockets, []string{"ws://a/ws", "ws://b/ws"}) {
		t.Errorf("%v: %q %q %v", err, d.Title(), d.About(), d.sockets)
	}
}
