package terminal

import (
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"
)

// A transcript is what has happened, as it is shown: rows of text, of which a window is seen.
type transcript struct {
	owner   string
	entries []entry
	columns int
	back    int               // rows between the end and the last one that is seen
	below   int               // messages that have come while one looked further up
	newest  int64             // there was when the line came up: what is older rings no bell
	away    bool              // somebody looks at another window
	unread  int               // messages that have come meanwhile
	changes map[string]change // of one's own messages, on their way, by their ids
}

// A change is another text for message n; "" takes it back.
type change struct {
	n    int64
	text string
}

// An entry is one event or message.
type entry struct {
	n    int64  // of a message; 0 while it is on its way
	who  string // "" for what is no message
	text string
	at   time.Time
	mark string // of one's own: what became of it
	url  string // where a browser finds the file that it is; "" for none
	cid  string
	rows []string
}

const (
	you         = "You"
	markSending = "sending …"
	markWaiting = "waits for the connection"
	markSent    = "✓"
	takenBack   = "(taken back)"
)

// event shows one; true if the other has written something new.
func (t *transcript) event(e Event) (news bool) {
	switch {
	case e.Kind == "edit" || e.Kind == "delete":
		delete(t.changes, e.CID)
		t.change(change{e.Of, e.Text})
		return false
	case e.CID != "":
		t.sent(e.CID, e.N)
		return false
	}
	shown := entry{at: e.At, n: e.N}
	switch {
	case e.Kind == "say" && e.Text == "":
		shown.text = eventWords(e, t.owner)
	case e.Kind == "file" && e.File != nil:
		if shown.who, shown.text, shown.url = Safe(t.owner), fileName(e), addressOf(e); e.Mine {
			shown.who, shown.mark = you, markSent
		}
		news = !e.Mine && e.N > t.newest
	case e.Kind != "say":
		shown.text = eventWords(e, t.owner)
	case e.Mine:
		shown.who, shown.text, shown.mark = you, SafeLines(e.Text), markSent
	default:
		shown.who, shown.text = Safe(t.owner), SafeLines(e.Text)
		news = e.N > t.newest
	}
	t.put(shown)
	if news && t.back > 0 {
		t.below++
	}
	if news && t.away {
		t.unread++
	}
	return news
}

// say shows a message of one's own that is on its way.
func (t *transcript) say(cid, text string, waits bool) {
	mark := markSending
	if waits {
		mark = markWaiting
	}
	t.back, t.below = 0, 0
	t.put(entry{who: you, text: SafeLines(text), at: time.Now(), mark: mark, cid: cid})
}

// put shows an entry at the end; whoever looks further up goes on seeing what he sees.
func (t *transcript) put(e entry) {
	var before time.Time
	if n := len(t.entries); n > 0 {
		before = t.entries[n-1].at
	}
	e.rows = t.render(e, before)
	t.entries = append(t.entries, e)
	if t.back > 0 {
		t.back += len(e.rows)
	}
}

// sent: a message of one's own, or a change of one, is safe as event n.
func (t *transcript) sent(cid string, n int64) {
	if c, ok := t.changes[cid]; ok {
		delete(t.changes, cid)
		t.change(c)
		return
	}
	for i := len(t.entries) - 1; i >= 0; i-- {
		if t.entries[i].cid == cid {
			t.entries[i].n = n
			break
		}
	}
	t.mark(cid, markSent)
}

// change shows that a message says something else now, or nothing.
func (t *transcript) change(c change) {
	for i := range t.entries {
		e := &t.entries[i]
		if e.n != c.n || e.who == "" {
			continue
		}
		was := len(e.rows)
		if e.text, e.mark = SafeLines(c.text), "(changed)"; c.text == "" {
			e.text, e.mark, e.url = takenBack, "", ""
		}
		t.again(i)
		if t.back > 0 {
			t.back = max(t.back+len(e.rows)-was, 0)
		}
		return
	}
}

// mine is the newest message of one's own that is safe and not taken back; 0 for none.
func (t *transcript) mine() int64 {
	for i := len(t.entries) - 1; i >= 0; i-- {
		if e := t.entries[i]; e.n > 0 && e.who == you && e.text != takenBack {
			return e.n
		}
	}
	return 0
}

// mark says what became of a message of one's own.
func (t *transcript) mark(cid, mark string) {
	for i := len(t.entries) - 1; i >= 0; i-- {
		if e := &t.entries[i]; e.cid == cid && cid != "" {
			e.mark = mark
			if mark == markSent {
				e.cid = ""
			}
			t.again(i)
			return
		}
	}
}

// waiting says of everything that is on its way that it waits for the line.
func (t *transcript) waiting(down bool) {
	for i := range t.entries {
		if e := &t.entries[i]; down && e.mark == markSending {
			e.mark = markWaiting
			t.again(i)
		}
	}
}

// anew forgets what will come again.
func (t *transcript) anew() {
	var kept []entry
	for _, e := range t.entries {
		if e.cid != "" {
			kept = append(kept, e)
		}
	}
	t.entries, t.back, t.below = kept, 0, 0
}

// again renders an entry that has changed.
func (t *transcript) again(i int) {
	var before time.Time
	if i > 0 {
		before = t.entries[i-1].at
	}
	t.entries[i].rows = t.render(t.entries[i], before)
}

func (t *transcript) rewrap(columns int) {
	if t.columns == columns {
		return
	}
	t.columns, t.back, t.below = columns, 0, 0
	for i := range t.entries {
		t.again(i)
	}
}

// render breaks an entry into rows. What comes on a new day has that day above it.
func (t *transcript) render(e entry, before time.Time) (rows []string) {
	columns := t.columns
	if columns == 0 {
		columns = 80
	}
	if day := e.at.Local().Format("Monday, 2 January 2006"); day != before.Local().Format("Monday, 2 January 2006") {
		rows = append(rows, faint(ansi.Truncate("— "+day+" —", columns, "")))
	}
	if e.who == "" {
		for _, row := range wrap(clock(e.at)+" "+e.text, columns) {
			rows = append(rows, faint(row))
		}
		return rows
	}
	who := ansi.Truncate(e.who, max(columns/2, 4), "…")
	first := clock(e.at) + " " + who + ": "
	text := e.text
	if e.mark != "" {
		text += " " + strings.ReplaceAll(e.mark, " ", "\u00a0") // is not broken
	}
	// The first row is shorter by what stands before the text: a stand-in of the same width holds its place.
	const indent = "      " // under the name
	stand := strings.Repeat("\u00a0", ansi.StringWidth(first)-len(indent))
	for i, row := range wrap(stand+text, max(columns-len(indent), 4)) {
		if i == 0 {
			row = clock(e.at) + " " + bold(who) + ": " + strings.TrimPrefix(row, stand)
		} else {
			row = indent + row
		}
		rows = append(rows, row)
	}
	// An address that is longer than a row is one link all the same, for terminals that know links (OSC 8); for others it stands alone, to be copied.
	for row := range strings.SplitSeq(ansi.Hardwrap(e.url, columns, false), "\n") {
		if row != "" {
			rows = append(rows, ansi.SetHyperlink(e.url)+row+ansi.ResetHyperlink())
		}
	}
	return rows
}

// scroll moves the window by so many rows, up where that is positive.
func (t *transcript) scroll(by, room int) {
	total := 0
	for _, e := range t.entries {
		total += len(e.rows)
	}
	t.back = max(min(t.back+by, total-room), 0)
	if t.back == 0 {
		t.below = 0
	}
}

// rows is what is seen in a window of so many rows.
func (t *transcript) rows(room int) []string {
	var seen []string // from below
	skip := t.back
	for i := len(t.entries) - 1; i >= 0 && len(seen) < room; i-- {
		rows := t.entries[i].rows
		for j := len(rows) - 1; j >= 0 && len(seen) < room; j-- {
			if skip > 0 {
				skip--
				continue
			}
			seen = append(seen, rows[j])
		}
	}
	window := make([]string, room)
	for i, row := range seen {
		window[len(seen)-1-i] = row
	}
	return window
}
