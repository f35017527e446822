package terminal

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
)

// talker is what the view needs of a Client.
type talker interface {
	Intent()
	Name(name string)
	TrySay(text string) (cid string, ok bool)
	TryChange(n int64, text string) (cid string, ok bool)
}

// ended is told to the view when the conversation has ended for good.
type ended struct{ err error }

// view is the conversation on a full screen: a model of bubbletea's.
type view struct {
	talker talker
	door   Door
	quiet  bool
	log    transcript
	draft  editor
	name   string
	asking bool // for the name
	state  string
	line   string // what is to be said about the line; "" while it is up
	note   string // about what was typed last
	end    error
	size   struct{ width, height int }
}

func newView(t talker, door Door, name string, quiet bool) *view {
	v := &view{talker: t, door: door, quiet: quiet, name: cleanName(name), state: "idle", line: "Connecting …"}
	v.asking = v.name == ""
	v.size.width, v.size.height = 80, 24
	v.log.owner = door.Owner
	v.log.newest, v.log.changes = -1, make(map[string]change)
	return v
}

// Init implements tea.Model.
func (v *view) Init() tea.Cmd { return nil }

// Update implements tea.Model.
func (v *view) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch m := msg.(type) {
	case tea.WindowSizeMsg:
		v.size.width, v.size.height = m.Width, m.Height
		v.log.rewrap(m.Width)
	case tea.PasteMsg:
		v.write(m.Content)
	case tea.KeyPressMsg:
		return v, v.key(m)
	case tea.FocusMsg:
		v.log.away, v.log.unread = false, 0
	case tea.BlurMsg:
		v.log.away = true
	case ended:
		v.end = m.err
	default:
		return v, v.told(msg)
	}
	return v, nil
}

// told takes what the client tells.
func (v *view) told(u Update) tea.Cmd {
	switch u := u.(type) {
	case Up:
		v.line, v.log.owner, v.log.newest = "", u.Owner, u.Last
		if v.state == "idle" && u.Wants != "" {
			v.state = u.Wants
		}
		if v.asking && u.Name != "" {
			v.asking, v.name = false, Safe(u.Name)
		}
	case Down:
		v.line = "The connection broke. Trying again; nothing that you wrote is lost."
		v.log.waiting(true)
	case Call:
		news := u.State != v.state
		v.state = u.State
		if news && u.State == "answered" {
			return v.ring()
		}
	case Anew:
		v.log.anew()
	case Sent:
		v.log.sent(u.CID, u.N)
	case Refused:
		if _, ours := v.log.changes[u.CID]; ours {
			delete(v.log.changes, u.CID)
			v.note = "The change was not taken: a message can be changed for ten minutes."
		}
		v.log.mark(u.CID, "was not taken: "+Safe(u.Text))
	case Event:
		if v.log.event(u) {
			return v.ring()
		}
	}
	return nil
}

// ring makes the terminal's sound, so that whoever looks elsewhere looks here.
func (v *view) ring() tea.Cmd {
	if v.quiet {
		return nil
	}
	return tea.Raw("\a")
}

func (v *view) key(k tea.KeyPressMsg) tea.Cmd {
	name := k.Keystroke()
	v.note = ""
	switch name {
	case "ctrl+c":
		return tea.Quit
	case "ctrl+z":
		return tea.Suspend
	case "ctrl+l":
		return tea.ClearScreen
	case "pgup":
		v.log.scroll(max(v.room()-1, 1), v.room())
		return nil
	case "pgdown":
		v.log.scroll(-max(v.room()-1, 1), v.room())
		return nil
	case "up", "down":
		v.log.scroll(map[string]int{"up": 1, "down": -1}[name], v.room())
		return nil
	}
	if v.end != nil {
		if name == "enter" || name == "q" || name == "ctrl+d" {
			return tea.Quit
		}
		return nil
	}
	switch {
	case name == "enter":
		return v.enter()
	case name == "ctrl+d" && v.draft.text == "":
		return tea.Quit
	case v.asking && (name == "alt+enter" || name == "shift+enter" || name == "ctrl+j"):
	case v.draft.key(name):
	case k.Text != "":
		v.write(k.Text)
	}
	return nil
}

// write is what is typed or pasted. The first of a message is the sign that somebody wants to talk: now the owner is called.
func (v *view) write(text string) {
	if v.end != nil {
		return
	}
	if v.asking {
		text = strings.ReplaceAll(strings.ReplaceAll(text, "\r", " "), "\n", " ")
	}
	if !v.draft.insert(text) {
		v.note = "That is too much for one message: it was not taken over."
	}
	if !v.asking && strings.TrimSpace(v.draft.text) != "" && !strings.HasPrefix(v.draft.text, "/") {
		v.talker.Intent()
	}
}

// enter is the name, a command or a message.
func (v *view) enter() tea.Cmd {
	text := v.draft.text
	if v.asking {
		if v.name = cleanName(text); v.name != "" {
			v.talker.Name(v.name)
		}
		v.asking, v.draft = false, editor{}
		return nil
	}
	switch word, rest, _ := strings.Cut(strings.TrimSpace(text), " "); {
	case word == "/leave" || word == "/quit":
		return tea.Quit
	case word == "/name" && cleanName(rest) != "":
		v.name, v.draft = cleanName(rest), editor{}
		v.talker.Name(v.name)
		return nil
	case word == "/edit" && len(Pieces(rest)) == 1, word == "/delete" && rest == "":
		v.change(rest)
		return nil
	case strings.HasPrefix(text, "//"):
		text = text[1:]
	case strings.HasPrefix(text, "/"):
		v.note = "There are /leave, /name NAME, /edit NEW TEXT and /delete (of what you said last); // begins a message with a slash."
		if rest == "" { // nothing is lost; what was written behind a word stays to be corrected
			v.draft = editor{}
		}
		return nil
	}
	pieces := Pieces(text)
	for i, piece := range pieces {
		cid, ok := v.talker.TrySay(piece)
		if !ok {
			v.note = "Too much is on its way already: try again in a moment."
			v.draft = editor{}
			v.draft.insert(strings.Join(pieces[i:], "\n"))
			return nil
		}
		v.log.say(cid, piece, v.line != "")
	}
	v.draft = editor{}
	return nil
}

// change gives what one said last another text, or takes it back where that is "".
func (v *view) change(text string) {
	text = strings.Join(Pieces(text), "")
	n := v.log.mine()
	if n == 0 {
		v.note = "You have said nothing yet that could be changed."
		return
	}
	cid, ok := v.talker.TryChange(n, text)
	if !ok {
		v.note = "Too much is on its way already: try again in a moment."
		return
	}
	v.log.changes[cid] = change{n, text}
	v.draft = editor{}
}

// The most rows that the call's state and what is written may have.
const (
	stateRows = 5
	draftRows = 6
)

// status says where the call and the line stand.
func (v *view) status() []string {
	text := stateWords(v.state, v.log.owner)
	switch {
	case v.end != nil:
		text = strings.ToUpper(v.end.Error()[:1]) + v.end.Error()[1:] + ". Enter leaves."
	case v.line != "":
		text = v.line
	}
	rows := wrap(text, v.size.width)
	if most := min(stateRows, max(v.size.height-6, 1)); len(rows) > most {
		rows = append(rows[:most-1], ansi.Truncate(strings.Join(rows[most-1:], " "), v.size.width, "…"))
	}
	if v.note != "" {
		rows = append(rows, wrap(v.note, v.size.width)...)
	}
	if v.log.below > 0 {
		rows = append(rows, fmt.Sprintf("↓ %d more below (PgDn)", v.log.below))
	}
	return rows[:min(len(rows), max(v.size.height-2, 1))]
}

// prompt stands before what is written.
func (v *view) prompt() string {
	switch {
	case v.asking:
		return "Your name (Enter for none): "
	case v.name != "" && v.size.width > 30:
		return ansi.Truncate(v.name, v.size.width/3, "…") + "> "
	}
	return "> "
}

// written is what is being written, in the rows that it may have, and where the cursor is in them.
func (v *view) written() (rows []string, row, column int) {
	prompt := v.prompt()
	indent := ansi.StringWidth(prompt)
	rows, row, column = v.draft.rows(max(v.size.width-indent, 2))
	most := max(min(draftRows, v.size.height-len(v.status())-1), 1)
	from := max(min(row-most/2, len(rows)-most), 0)
	rows = rows[from:min(from+most, len(rows))]
	for i, text := range rows {
		if i == 0 {
			rows[i] = prompt + text
		} else {
			rows[i] = strings.Repeat(" ", indent) + text
		}
	}
	return rows, row - from, column + indent
}

// head says whom one talks to and about what; where there is no room for it, what is said goes first.
func (v *view) head() []string {
	if v.size.height < 8 {
		return nil
	}
	return []string{bold(ansi.Truncate(v.door.Title(), v.size.width, "…")), faint(ansi.Truncate(v.door.About(), v.size.width, "…")), ""}
}

// room is how many rows the conversation has.
func (v *view) room() int {
	rows, _, _ := v.written()
	return max(v.size.height-len(v.head())-len(v.status())-len(rows), 0)
}

// View implements tea.Model.
func (v *view) View() tea.View {
	rows, row, column := v.written()
	room := v.room()
	all := append(v.head(), v.log.rows(room)...)
	for _, text := range v.status() {
		all = append(all, faint(text))
	}
	top := len(all)
	all = append(all, rows...)
	above := max(len(all)-v.size.height, 0) // on a screen on which nothing has room
	for i := range all {
		all[i] = ansi.Truncate(all[i], v.size.width, "")
	}
	shown := tea.NewView(strings.Join(all[above:], "\n"))
	shown.AltScreen, shown.ReportFocus = true, true
	shown.WindowTitle = v.door.Title()
	if v.log.unread > 0 {
		shown.WindowTitle = fmt.Sprintf("(%d) %s", v.log.unread, shown.WindowTitle)
	}
	if v.end == nil {
		shown.Cursor = tea.NewCursor(min(column, v.size.width-1), top+row-above)
	}
	return shown
}

// Weight alone sets things apart, never colour.
func bold(text string) string  { return "\x1b[1m" + text + "\x1b[22m" }
func faint(text string) string { return "\x1b[2m" + text + "\x1b[22m" }

// wrap breaks a text into rows, between words where it can.
func wrap(text string, columns int) []string {
	return strings.Split(ansi.Wrap(text, max(columns, 2), ""), "\n")
}

func clock(at time.Time) string { return at.Local().Format("15:04") }
