package chatd

import (
	"encoding/base64"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"chmail/internal/call"
	"chmail/internal/sqldb"
)

// Knowing a conversation, a call, a port, a login or an expired link gives you nothing (hazards 4).
func TestNobodyReachesWhatIsNotHis(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob, bobs := h.talking(offer, "Bob")
	_, minas := h.talking(offer, "Mina") // the same link, another visitor
	_, carols := h.talking(quote, "Bob") // the same visitor, another owner
	bob.send(frame{"t": "say", "cid": "1", "text": "between Bob and Alice"})
	bob.expect("ack")

	t.Run("readers", func(t *testing.T) { h.readersIntrude(t, bobs, minas, carols) })
	t.Run("owners, while they talk", func(t *testing.T) { h.ownersIntrude(t, bobs, minas, carols) })
	h.stop()
	h.start()
	t.Run("owners, later", func(t *testing.T) { h.ownersIntrude(t, bobs, minas, carols) })
	if s, _ := h.broker.State(carols); s != call.Opened {
		t.Errorf("Carol's call is %s", s)
	}
	desk := h.desk(alice)
	for _, conv := range []string{bobs, minas} {
		desk.send(frame{"t": "open", "conv": conv, "last": 0})
	}
	desk.send(frame{"t": "say", "conv": minas, "cid": "last", "text": "the end"})
	for {
		e := desk.expect("event")
		if text, _ := e["text"].(string); strings.Contains(text, "intruding") || strings.Contains(text, "Mallory") {
			t.Errorf("somebody got through: %v", e)
		}
		if e["text"] == "the end" {
			break
		}
	}
}

// verbs are all that a side's frames can ask for, as the switches over f.T in that file name them: one that is new is tried with the others.
func verbs(t *testing.T, file string) (all []string) {
	t.Helper()
	tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]string{"kindEdit": kindEdit, "kindDelete": kindDelete}
	ast.Inspect(tree, func(n ast.Node) bool {
		s, ok := n.(*ast.SwitchStmt)
		if !ok {
			return true
		}
		if tag, ok := s.Tag.(*ast.SelectorExpr); !ok || tag.Sel.Name != "T" {
			return true
		}
		for _, clause := range s.Body.List {
			for _, e := range clause.(*ast.CaseClause).List {
				switch e := e.(type) {
				case *ast.BasicLit:
					verb, err := strconv.Unquote(e.Value)
					if err != nil {
						t.Fatal(err)
					}
					all = append(all, verb)
				case *ast.Ident:
					if named[e.Name] == "" {
						t.Fatalf("%s: which verb is %s?", file, e.Name)
					}
					all = append(all, named[e.Name])
				}
			}
		}
		return true
	})
	slices.Sort(all)
	if all = slices.Compact(all); len(all) < 8 {
		t.Fatalf("%s: only %q are found", file, all)
	}
	return all
}

// asks is a frame with everything in it that any verb looks at.
func asks(verb, conv string) frame {
	return frame{"t": verb, "conv": conv, "call": "call of " + conv, "cid": "9", "text": "intruding", "name": "Mallory", "n": 2, "last": 0, "on": true}
}

// readersIntrude tries all verbs of both sides on what is others', and the owner's on what is the reader's own.
func (h *house) readersIntrude(t *testing.T, bobs, minas, carols string) {
	readers, owners := verbs(t, "reader.go"), verbs(t, "desk.go")
	refused := func(f frame) {
		t.Helper()
		p := h.reader(offer, "Bob", 0, 0)
		p.expect("joined")
		p.send(f)
		p.refused("refused")
	}
	for _, foreign := range []string{minas, carols, "AAAAAAAAAAAAAAAAAAAAAA", "x"} {
		for _, verb := range slices.Concat(readers, owners) {
			refused(asks(verb, foreign))
		}
	}
	for _, verb := range append(owners, "join", "whatever") {
		if !slices.Contains(readers, verb) {
			refused(asks(verb, bobs))
		}
	}
}

// ownersIntrude tries all verbs of an owner on what is another's, or nobody's.
func (h *house) ownersIntrude(t *testing.T, bobs, minas, carols string) {
	epoch := func() (n int) {
		t.Helper()
		if err := h.db.View(t.Context(), func(tx *sqldb.Tx) error {
			return tx.QueryRow(`SELECT sum(epoch) FROM chatd_conversation`).Scan(&n)
		}); err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := epoch()
	// These are about the login itself, or about a call, which is looked at below.
	wide := []string{"input", "rest", "resting", "rung", "answer", "decline", "moment", "not-now"}
	for _, c := range []struct{ login, conv string }{{carol, bobs}, {carol, minas}, {alice, carols}, {alice, "AAAAAAAAAAAAAAAAAAAAAA"}, {alice, ""}, {alice, bobs + "x"}} {
		for _, verb := range append(verbs(t, "reader.go"), verbs(t, "desk.go")...) {
			if slices.Contains(wide, verb) {
				continue
			}
			d := h.desk(c.login)
			d.send(asks(verb, c.conv))
			d.refused("refused")
		}
		if _, err := h.srv.Conversation(t.Context(), c.login, c.conv); !errors.Is(err, ErrNoConversation) {
			t.Errorf("%s finds %q: %v", c.login, c.conv, err)
		}
	}
	if epoch() != before {
		t.Error("a foreign conversation was touched")
	}
	for _, callID := range []string{"call of " + carols, "no such call"} {
		d := h.desk(alice)
		for _, verb := range []string{"answer", "decline", "moment"} {
			d.send(frame{"t": verb, "call": callID})
			if s := d.expect("silence"); s["call"] != callID {
				t.Errorf("%s: %v", verb, s)
			}
		}
		d.send(frame{"t": "join", "v": 1, "token": offer, "last": 0})
		d.refused("refused")
	}
}

func TestAConversationIsSeenByNobodyElse(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	desk, foreign := h.desk(alice), h.desk(carol)
	mina, _ := h.talking(offer, "Mina")
	bob, conv := h.talking(offer, "Bob")
	carols := h.reader(quote, "Bob", 0, 0)
	bob.send(frame{"t": "say", "cid": "1", "text": "between the two of us"})
	bob.expect("ack")
	desk.send(frame{"t": "say", "conv": conv, "cid": "1", "text": "yes"})
	desk.expect("ack")
	desk.send(frame{"t": "seen", "conv": conv, "n": 3})
	bob.send(frame{"t": "say", "cid": "2", "text": "good"})
	bob.expect("ack")
	for name, p := range map[string]*page{"another visitor": mina, "another owner's reader": carols, "another owner": foreign} {
		_ = p.conn.Close(websocket.StatusNormalClosure, "") // what was sent to it comes before the answer to this
		for f := range p.in {
			if f["conv"] == conv || f["text"] == "between the two of us" {
				t.Errorf("%s is told %v", name, f)
			}
		}
	}
}

func TestOnlyOurOwnPagesOpenSockets(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	port := h.freePort()
	h.broker.give(alice, port)
	h.follow(offer, cookieOf("Bob"))
	site := h.url
	hostOnly := site[:strings.LastIndex(site, ":")]
	origins := map[string]bool{
		site: true, "": false, "null": false, "https://evil.example": false, hostOnly: false, "https" + site[4:]: false, fmt.Sprintf("%s:%d", hostOnly, port): false,
		strings.Replace(site, "localhost", "sub.localhost", 1): false, strings.Replace(site, "localhost", "127.0.0.1", 1): false, site + ".evil.example": false, site + "/": false,
		strings.ToUpper(site): false,
	}
	for origin, allowed := range origins {
		for _, target := range []string{h.socket(0), h.socket(port), strings.Replace(h.socket(0), "/ws", "/desk/ws", 1)} {
			p, err := h.dial(target, func(hd http.Header) {
				hd.Set("Login", alice)
				if hd.Del("Origin"); origin != "" {
					hd.Set("Origin", origin)
				}
			})
			if (err == nil) != allowed {
				t.Errorf("a socket to %s from %q: %v", target, origin, err)
			}
			if err == nil {
				p.cut()
			} else if !strings.Contains(err.Error(), "status 403") {
				t.Errorf("a socket to %s from %q: %v, want status 403", target, origin, err)
			}
		}
	}
	two := func(hd http.Header) { hd["Origin"] = []string{site, site} }
	if _, err := h.dial(h.socket(port), two); err == nil {
		t.Error("two origins are let in")
	}
}

func TestWhoMayJoin(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	port := h.freePort()
	h.broker.give(alice, port)
	h.follow(offer, cookieOf("Bob"))
	join := frame{"t": "join", "v": 1, "token": offer, "last": 0}
	with := func(key string, value any) frame {
		f := frame{}
		for k, v := range join {
			f[k] = v
		}
		f[key] = value
		return f
	}
	for name, c := range map[string]struct {
		first  frame
		cookie string
		code   string
	}{
		"an unknown token":          {with("token", "DDDDDDDDDDDDDDDDDDDDDD"), cookieOf("Bob"), "link"},
		"no token":                  {with("token", ""), cookieOf("Bob"), "link"},
		"a token of another owner":  {with("token", quote), cookieOf("Bob"), "link"},
		"no cookie":                 {join, "", "cookie"},
		"a cookie of another shape": {join, "tooshort", "cookie"},
		"another version":           {with("v", 2), cookieOf("Bob"), "version"},
		"another first frame":       {with("t", "intent"), cookieOf("Bob"), "frame"},
		"a negative number":         {with("last", -1), cookieOf("Bob"), "frame"},
		"a number too large":        {with("last", 7), cookieOf("Bob"), "gap"},
		"a conversation":            {with("conv", "AAAAAAAAAAAAAAAAAAAAAA"), cookieOf("Bob"), "frame"},
		"a token that is a number":  {with("token", 1), cookieOf("Bob"), "frame"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := h.dial(h.socket(port), cookie(c.cookie))
			if err != nil {
				t.Fatal(err)
			}
			p.send(c.first)
			p.refused(c.code)
		})
	}
	p := h.reader(offer, "Bob", 0, port)
	p.expect("joined")
	if _, err := base64.RawURLEncoding.DecodeString(cookieOf("Bob")); err != nil {
		t.Error("the test's cookie is of the wrong shape")
	}
}

func TestTextsThatAreNoTexts(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	bob, conv := h.talking(offer, "Bob")
	desk := h.desk(alice)
	for i, text := range []string{"", "  \n ", "bell\a", "\x1b[31mred", "nul\x00", "c1\u009b", strings.Repeat("x", 4001), strings.Repeat("\U0001f600", 2001), "cr\r\n"} {
		cid := fmt.Sprint("bad", i)
		bob.send(frame{"t": "say", "cid": cid, "text": text})
		if f := bob.expect("error"); f["code"] != "text" || f["cid"] != cid {
			t.Errorf("%.20q: %v", text, f)
		}
		desk.send(frame{"t": "say", "conv": conv, "cid": cid, "text": text})
		if f := desk.expect("error"); f["code"] != "text" || f["cid"] != cid || f["conv"] != conv {
			t.Errorf("%.20q: %v", text, f)
		}
	}
	good := []string{strings.Repeat("x", 4000), strings.Repeat("\U0001f600", 2000), strings.Repeat("字", 4000), "two\nlines\tand a tab", "\u202ebidi", `<b>&amp;"</b>`}
	for i, text := range good { // the line has stayed
		bob.send(frame{"t": "say", "cid": fmt.Sprint("good", i), "text": text})
		bob.expect("ack")
	}
	again := h.reader(offer, "Bob", 0, 0)
	again.expect("joined")
	again.said(0, good...)
	again.send(frame{"t": "say", "cid": "", "text": "no id"})
	again.refused("frame")
	for _, body := range []string{"", "{", "[]", "null", `"say"`, `{"t":1}`, `{"t":"say","cid":"x","text":"\ud800"}` + "}", "\xff", `{"t":"say","last":1e400}`} {
		p := h.reader(offer, "Bob", 0, 0)
		p.expect("joined")
		if err := p.conn.Write(t.Context(), websocket.MessageText, []byte(body)); err != nil {
			t.Fatal(err)
		}
		p.refused("frame")
	}
	p := h.reader(offer, "Bob", 0, 0)
	p.expect("joined")
	if err := p.conn.Write(t.Context(), websocket.MessageBinary, []byte(`{"t":"intent"}`)); err != nil {
		t.Fatal(err)
	}
	p.refused("frame")
	p = h.reader(offer, "Bob", 0, 0)
	p.expect("joined")
	p.send(frame{"t": "say", "cid": "1", "text": strings.Repeat("x", maxFrame)})
	p.hungUp()
	if websocket.CloseStatus(p.err) != websocket.StatusMessageTooBig && !strings.Contains(fmt.Sprint(p.err), "reset by peer") { // what was not read any more may cut the goodbye off
		t.Errorf("a frame that is too large ends with %v", p.err)
	}
}
