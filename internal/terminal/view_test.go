package terminal

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
)

// fakeTalker remembers what the view asked for.
type fakeTalker struct {
	said    []string
	names   []string
	intents int
	full    bool
}

func (f *fakeTalker) Intent()          { f.intents++ }
func (f *fakeTalker) Name(name string) { f.names = append(f.names, name) }
func (f *fakeTalker) TrySay(text string) (string, bool) {
	if f.full {
		return "", false
	}
	f.said = append(f.said, text)
	return fmt.Sprint("m", len(f.said)), true
}

func (f *fakeTalker) TryChange(n int64, text string) (string, bool) {
	return f.TrySay(fmt.Sprintf("%d: %s", n, text))
}

// seat is somebody before a screen.
type seat struct {
	t *testing.T
	v *view
	f *fakeTalker
}

func sit(t *testing.T, columns, rows int, name string) *seat {
	f := &fakeTalker{}
	s := &seat{t, newView(f, Door{Owner: "Alice Example", Address: "alice@example.com", Subject: "Offer for the roof"}, name, false), f}
	s.does(tea.WindowSizeMsg{Width: columns, Height: rows}, Up{Owner: "Alice Example"})
	return s
}

// does lets things happen, and returns the last command.
func (s *seat) does(msgs ...tea.Msg) (cmd tea.Cmd) {
	for _, m := range msgs {
		_, cmd = s.v.Update(m)
	}
	return cmd
}

func (s *seat) types(text string) {
	for _, r := range text {
		s.does(tea.KeyPressMsg{Code: r, Text: string(r)})
	}
}

func (s *seat) press(keys ...tea.KeyPressMsg) (cmd tea.Cmd) {
	for _, k := range keys {
		cmd = s.does(k)
	}
	return cmd
}

// sees is the screen as letters, without empty rows at the ends of rows.
func (s *seat) sees() string {
	s.t.Helper()
	view := s.v.View()
	rows := strings.Split(ansi.Strip(view.Content), "\n")
	if len(rows) > s.v.size.height {
		s.t.Errorf("%d rows on a screen of %d:\n%s", len(rows), s.v.size.height, view.Content)
	}
	for i, row := range rows {
		if w := ansi.StringWidth(row); w > s.v.size.width {
			s.t.Errorf("a row of %d columns on a screen of %d: %q", w, s.v.size.width, row)
		}
		rows[i] = strings.TrimRight(row, " ")
	}
	if c := view.Cursor; c != nil && (c.X >= s.v.size.width || c.Y >= s.v.size.height) {
		s.t.Errorf("the cursor is off the screen: %d, %d", c.X, c.Y)
	}
	return strings.ReplaceAll(strings.Join(rows, "\n"), "\u00a0", " ")
}

func (s *seat) shows(parts ...string) {
	s.t.Helper()
	got := s.sees()
	for _, p := range parts {
		if !strings.Contains(got, p) {
			s.t.Errorf("%q is not shown:\n%s", p, got)
		}
	}
}

func (s *seat) hides(parts ...string) {
	s.t.Helper()
	got := s.sees()
	for _, p := range parts {
		if strings.Contains(got, p) {
			s.t.Errorf("%q is shown:\n%s", p, got)
		}
	}
}

func owner(n int64, text string) Event {
	return Event{N: n, Kind: "say", Text: text, At: at.Add(time.Duration(n) * time.Second)}
}

var ( // keys
	enter  = tea.KeyPressMsg{Code: tea.KeyEnter}
	pageUp = tea.KeyPressMsg{Code: tea.KeyPgUp}
	pageDn = tea.KeyPressMsg{Code: tea.KeyPgDown}
	ctrlC  = tea.KeyPressMsg{Code: 'c', Mod: tea.ModCtrl}
	left   = tea.KeyPressMsg{Code: tea.KeyLeft}
	back   = tea.KeyPressMsg{Code: tea.KeyBackspace}
)

func rings(cmd tea.Cmd) bool {
	if cmd == nil {
		return false
	}
	raw, ok := cmd().(tea.RawMsg)
	return ok && raw.Msg == "\a"
}

func quits(cmd tea.Cmd) bool {
	return cmd != nil && reflect.TypeOf(cmd()) == reflect.TypeFor[tea.QuitMsg]()
}

func TestAConversationOnTheScreen(t *testing.T) {
	t.Parallel()
	s := sit(t, 60, 16, "")
	s.shows("Talk with Alice Example <alice@example.com>\nabout the mail “Offer for the roof”\n", "Alice Example is called as soon as you begin to write.", "Your name (Enter for none):")
	s.types("Bob")
	s.press(enter)
	if s.f.intents != 0 || s.f.names[0] != "Bob" {
		t.Errorf("after the name: %+v", s.f)
	}
	s.shows("\nBob>")
	s.types("D")
	if s.f.intents == 0 {
		t.Error("the first letter of a message calls nobody")
	}
	s.types("oes it include the scaffolding?")
	s.does(Call{"ringing"})
	s.shows("Calling Alice Example …", "Bob> Does it include the scaffolding?")
	s.press(enter)
	s.shows("You: Does it include the scaffolding? sending …", "\nBob>")
	s.does(Down{time.Second})
	s.shows("The connection broke. Trying again; nothing that you wrote\nis lost.")
	if text := strings.Join(strings.Fields(s.sees()), " "); !strings.Contains(text, "scaffolding? waits for the connection") {
		t.Errorf("what is said while the line is down:\n%s", s.sees())
	}
	s.does(Up{Owner: "Alice Example", Last: 1}, Sent{"m1", 1})
	s.shows("You: Does it include the scaffolding? ✓")
	s.hides("connection")
	if !rings(s.does(Call{"answered"})) {
		t.Error("no bell when the call is answered")
	}
	if !rings(s.does(owner(2, "It does,\nfor two weeks."))) {
		t.Error("no bell when the other writes")
	}
	s.shows("Alice Example is here.", "Alice Example: It does,\n      for two weeks.", clock(at)+" Alice")
	s.does(Event{N: 3, Kind: "leave", At: at}, Refused{"m9", "?"})
	s.shows("Alice Example has left.")
	s.types("/help")
	s.press(enter)
	s.shows("There are /leave, /name NAME", "slash.\nBob>")
	s.types("/nmae Robert")
	s.press(enter)
	s.shows("There are /leave, /name NAME", "Bob> /nmae Robert")
	if !quits(s.press(ctrlC)) {
		t.Error("Ctrl-C does not leave")
	}
}

func TestNothingThatIsWrittenSteersTheTerminal(t *testing.T) {
	t.Parallel()
	s := sit(t, 60, 20, "Bob")
	evil := "a\x1b]0;owned\x07\x1b[2J\x9b31m\u202eb\u2066c\x00d\u009b"
	s.v.door = Door{Owner: evil, Address: evil, Subject: evil}
	s.does(Up{Owner: evil, About: evil, Name: evil}, owner(1, evil), Event{N: 2, Kind: "name", Mine: true, Name: evil, Text: evil}, Event{N: 3, Kind: evil, At: at},
		Call{evil}, Call{"ringing"}, Refused{"m1", evil}, tea.PasteMsg{Content: evil})
	view := s.v.View()
	text := strings.NewReplacer("\x1b[1m", "", "\x1b[2m", "", "\x1b[22m", "", "\n", "").Replace(view.Content) + view.WindowTitle
	for _, r := range text {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u202e' || r == '\u2066' {
			t.Fatalf("%U reaches the terminal: %q", r, text)
		}
	}
	s.press(enter)
	if len(s.f.said) != 1 || strings.ContainsAny(s.f.said[0], "\x1b\x07\x00") {
		t.Errorf("said %q", s.f.said)
	}
}

func TestWideLettersAndSmallScreens(t *testing.T) {
	t.Parallel()
	for _, size := range [][2]int{{80, 24}, {40, 10}, {21, 8}, {12, 5}, {6, 3}, {2, 1}, {1, 1}} {
		s := sit(t, size[0], size[1], "ボブ")
		s.does(owner(1, "足場は二週間分含まれています。それ以上は一日ごとに追加料金がかかります。"), owner(2, "발판은 포함되어 있습니다 👩‍👩‍👧‍👦 e\u0301"), owner(3, strings.Repeat("x", 100)))
		s.types("写真を送ってください。屋根の")
		s.sees()
		s.press(enter)
		s.sees()
		s.does(tea.WindowSizeMsg{Width: 33, Height: 12})
		s.sees()
	}
	s := sit(t, 40, 12, "ボブ")
	s.types("日本e\u0301語")
	if c := s.v.View().Cursor; c.X != len("> ")+4+7 {
		t.Errorf("the cursor is in column %d", c.X)
	}
	s.press(left, back, back)
	if s.v.draft.text != "日語" {
		t.Errorf("after removing two characters: %q", s.v.draft.text)
	}
	s.press(enter)
	s.shows("You: 日語")
}

func TestScrolling(t *testing.T) {
	t.Parallel()
	s := sit(t, 40, 14, "Bob")
	for n := range int64(50) {
		s.does(owner(n+1, fmt.Sprintf("message %02d", n+1)))
	}
	s.shows("message 50")
	s.hides("message 30")
	s.press(pageUp, pageUp)
	s.hides("message 50")
	was := s.sees()
	if !rings(s.does(owner(51, "message 51"))) {
		t.Error("no bell while one looks further up")
	}
	s.shows("↓ 1 more below")
	if rows := strings.Split(was, "\n"); !strings.Contains(s.sees(), rows[5]+"\n"+rows[6]) {
		t.Errorf("what is looked at has moved:\n%s\n\n%s", was, s.sees())
	}
	for range 20 {
		s.press(pageUp)
	}
	s.shows("message 01")
	for range 20 {
		s.press(pageDn)
	}
	s.shows("message 51")
	s.hides("more below")
	s.press(pageUp, pageUp)
	s.types("back to the end")
	s.press(enter)
	s.shows("back to the end", "message 51")
}

func TestAPasteOfSeveralLinesIsOneMessage(t *testing.T) {
	t.Parallel()
	s := sit(t, 40, 16, "Bob")
	s.does(tea.PasteMsg{Content: "one\r\n\ttwo\nthree"})
	s.shows("Bob> one\n         two\n     three")
	s.press(enter)
	if len(s.f.said) != 1 || s.f.said[0] != "one\n    two\nthree" {
		t.Errorf("said %q", s.f.said)
	}
	s.does(tea.PasteMsg{Content: strings.Repeat("many words ", 1000)})
	s.f.full = true
	s.press(enter)
	s.shows("Too much is on its way")
	s.f.full = false
	s.press(enter)
	if len(s.f.said) != 4 || len(s.f.said[1]) > maxUnits || strings.TrimSpace(strings.Repeat("many words ", 1000)) != strings.Join(s.f.said[1:], " ") {
		t.Errorf("a long paste is said as %d messages", len(s.f.said)-1)
	}
}

func TestWhoIsKnownIsNotAskedAndOldMessagesRingNoBell(t *testing.T) {
	t.Parallel()
	s := sit(t, 60, 16, "")
	s.does(Up{Owner: "Alice Example", Name: "Bob", Last: 2})
	s.shows("\nBob>")
	if rings(s.does(owner(1, "yesterday"))) || rings(s.does(Event{N: 2, Kind: "say", Mine: true, Text: "mine", At: at})) {
		t.Error("what was there before rings")
	}
	s.shows("You: mine ✓")
	s.does(tea.BlurMsg{})
	if !rings(s.does(owner(3, "today"))) || s.v.View().WindowTitle != "(1) Talk with Alice Example <alice@example.com>" {
		t.Errorf("the title of the window: %q", s.v.View().WindowTitle)
	}
	s.does(tea.FocusMsg{})
	if strings.Contains(s.v.View().WindowTitle, "(") {
		t.Errorf("the title of the window: %q", s.v.View().WindowTitle)
	}
	s.v.quiet = true
	if s.does(owner(4, "and more")) != nil {
		t.Error("--quiet rings")
	}
	s.types("on its way")
	s.press(enter)
	s.does(Anew{})
	s.hides("yesterday", "mine")
	s.shows("on its way sending …")
	s.does(ended{ErrElsewhere})
	s.shows("This conversation has been opened in another window. Enter\nleaves.")
	s.types("no more")
	s.hides("no more")
	if !quits(s.press(enter)) {
		t.Error("Enter does not leave what has ended")
	}
}

func TestWhatWasSaidIsChangedAndTakenBack(t *testing.T) {
	t.Parallel()
	s := sit(t, 60, 18, "Bob")
	s.types("/delete")
	s.press(enter)
	s.shows("You have said nothing yet", "Bob> /delete")
	s.v.draft = editor{}
	s.does(owner(1, "At tne"), owner(2, ""), Event{N: 3, Kind: "edit", Of: 1, Text: "At ten", At: at})
	s.shows("Alice Example: At ten (changed)", "A message was taken back.")
	s.types("see yuo")
	s.press(enter)
	s.does(Sent{"m1", 4})
	s.types("/edit see you")
	s.press(enter)
	s.does(Sent{"m2", 5}) // before the event, which is not told any more
	s.shows("You: see you (changed)")
	s.types("/delete")
	s.press(enter)
	s.does(Event{N: 6, Kind: "delete", Of: 4, Mine: true, CID: "m3", At: at})
	s.shows("You: (taken back)")
	s.hides("see you")
	if got := strings.Join(s.f.said, "|"); got != "see yuo|4: see you|4: " {
		t.Errorf("asked for %q", got)
	}
	s.types("too late")
	s.press(enter)
	s.does(Event{N: 7, Kind: "say", Mine: true, Text: "too late", CID: "m4", At: at})
	s.types("/edit never")
	s.press(enter)
	s.does(Refused{"m5", "no"})
	s.shows("The change was not taken", "You: too late ✓")
	s.does(Event{N: 8, Kind: "delete", Of: 1, At: at}, Event{N: 9, Kind: "delete", Of: 77, At: at})
	s.shows("Alice Example: (taken back)")
}

func TestTheScreenSaysWhatCallsTheOwner(t *testing.T) {
	t.Parallel()
	s := sit(t, 60, 16, "")
	s.does(Up{Owner: "Alice", Wants: "silent"})
	s.shows("Write something, and Alice is called.")
}

func TestWhoGivesHimselfANameIsTheOneWhoIsTold(t *testing.T) {
	t.Parallel()
	for want, e := range map[string]Event{"You go by Bo now.": {Kind: "name", Mine: true, Name: "Bo", Text: "Bo"}, "Now goes by Bo.": {Kind: "name", Text: "Bo"}} {
		if got := eventWords(e, "Alice"); got != want {
			t.Errorf("%+v: %q", e, got)
		}
	}
}
