package message

import (
	"fmt"
	"html"
	"io"
	"net/url"
	"strings"
	"time"

	"chmail/internal/address"
)

// A Transcript is the mail that tells an owner what was said in a chat (R12), in the thread of the mail whose link was followed.
type Transcript struct {
	To    string // the owner's login
	Host  string // this server's name, for the Message-ID
	Who   string // what the visitor calls himself; "" when he has not said
	About Summary
	Link  string // of the desk at this conversation; it carries no right of its own
	At    time.Time
	Said  []Said
	More  bool // there was more before
	Ended bool // the owner has ended the conversation

	// For is set where the mail is not the owner's but his visitor's, at the address To that he has proved: Who is the owner then, Mine is what the visitor said, and an
	// answer to this mail goes to For, the owner's address. There is no link: that in the mail which the visitor has leads back.
	For string
	New bool // the visitor's mail has only what the owner has said since he left

	Attach []Attachment // files that go along, in order

	Language string // of the owner: "en", "ja", "ko"; whatever else is English
}

// Said is a message or a file in a transcript.
type Said struct {
	At   time.Time
	Mine bool   // the owner's
	Name string // how a guest is called whose it is; "" when it is none's
	Text string // of a message
	File string // name of a file; "" for a message
	Size string // of a file, as people read it
	// Attached says that the file goes along with the mail; otherwise Link is where it is found, "" where that cannot be said.
	Attached bool
	Link     string
}

// Build is the mail, as Notice.Build does it, without what is attached. An error means that To is no address or Link no http(s) URL.
func (t *Transcript) Build() ([]byte, error) {
	l, err := t.letter()
	if err != nil {
		return nil, err
	}
	return l.build(), nil
}

// Write writes the mail, as Notice.Build does it, with what is attached. Besides the errors of Build there are those of w and of what is attached; the mail is
// then not whole.
func (t *Transcript) Write(w io.Writer) error {
	l, err := t.letter()
	if err != nil {
		return err
	}
	l.attach = t.Attach
	if err := l.write(w); err != nil {
		return fmt.Errorf("writing a transcript: %w", err)
	}
	return nil
}

// plainURL tells whether a link can stand in a mail as it is.
func plainURL(link string) bool {
	u, err := url.Parse(link)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && plainText(link) && len(link) <= MaxLine-80 && !strings.ContainsAny(link, " <>\"")
}

func (t *Transcript) letter() (letter, error) {
	to, err := address.Parse(t.To)
	if err != nil {
		return letter{}, fmt.Errorf("building a transcript: %w", err)
	}
	if t.For == "" && !plainURL(t.Link) {
		return letter{}, fmt.Errorf("building a transcript: the desk's link is no URL")
	}
	w := t.say()
	l := letter{
		to: to, from: w.notice.from(to.Domain), host: t.Host, subject: reply(t.About.Subject, w.subject(t.who())), at: t.At, about: t.About, tag: w.notice.tag,
		text: t.text(), html: t.html(),
	}
	if t.For != "" {
		l.replyTo = t.For
		owner, err := address.Parse(t.For)
		if err != nil {
			return letter{}, fmt.Errorf("building a transcript: %w", err)
		}
		l.from = w.notice.from(owner.Domain) // the postmaster of the owner's side sends it
		l.sender = owner.Domain
	}
	return l, nil
}

func (t *Transcript) say() transcriptWords {
	switch t.Language {
	case "ja":
		return japaneseTranscript()
	case "ko":
		return koreanTranscript()
	}
	return englishTranscript()
}

func (t *Transcript) who() string {
	w := t.say().notice
	if t.For != "" && clean(t.Who, maxWho) == "" {
		return t.For
	}
	if name := clean(t.Who, maxWho); name != "" {
		return name + w.honour
	}
	return w.somebody
}

func (t *Transcript) head() string {
	w := t.say()
	about := w.notice.aMail
	if s := clean(t.About.Subject, maxSubject); s != "" {
		about = w.notice.open + s + w.notice.close
	}
	if t.For == "" {
		return w.head(t.who(), about)
	}
	about = w.yours
	if s := clean(t.About.Subject, maxSubject); s != "" {
		about = w.quoted(s)
	}
	if t.New {
		return w.answered(t.who(), about)
	}
	return w.head(t.who(), about)
}

// lines are what was said, one after the other: when and by whom, the lines of the text, and the link to a file.
func (t *Transcript) lines(line func(day, head string, text []string, link string)) {
	w := t.say()
	last := ""
	for _, s := range t.Said {
		day := s.At.UTC().Format(w.day) + " UTC"
		if day == last {
			day = ""
		} else {
			last = day
		}
		name := t.who()
		if s.Mine {
			name = w.you
		} else if guest := clean(s.Name, maxWho); guest != "" {
			name = guest
		}
		var text []string
		link := ""
		if s.File != "" {
			if plainURL(s.Link) && !s.Attached {
				link = s.Link
			}
			text = []string{w.file.named(clean(s.File, maxMessage)) + t.where(s, link)}
		} else {
			for one := range strings.Lines(s.Text) {
				text = append(text, clean(one, len(one)))
			}
		}
		line(day, s.At.UTC().Format("15:04")+"  "+name, text, link)
	}
}

// where says how large a file is and how one comes by it, behind its name.
func (t *Transcript) where(s Said, link string) string {
	w := t.say()
	how := w.file.elsewhere
	switch {
	case s.Attached:
		how = w.file.attached
	case link != "":
		how = w.file.linked
	}
	if s.Size == "" {
		return " (" + how + ")"
	}
	return " (" + s.Size + w.file.comma + how + ")"
}

func (t *Transcript) text() string {
	w := t.say()
	var b strings.Builder
	b.WriteString(t.head() + "\r\n")
	if t.More {
		b.WriteString("\r\n" + w.more + "\r\n")
	}
	t.lines(func(day, head string, text []string, link string) {
		if day != "" {
			b.WriteString("\r\n" + day + "\r\n")
		}
		b.WriteString("\r\n" + head + "\r\n")
		for _, one := range text {
			b.WriteString("> " + one + "\r\n")
		}
		if link != "" {
			b.WriteString(link + "\r\n")
		}
	})
	if t.Ended {
		b.WriteString("\r\n" + w.ended + "\r\n")
	}
	if t.For != "" {
		b.WriteString("\r\n" + w.back(t.For) + "\r\n")
	} else {
		b.WriteString("\r\n" + w.open + "\r\n" + t.Link + "\r\n")
	}
	return b.String()
}

func (t *Transcript) html() string {
	w := t.say()
	var b strings.Builder
	b.WriteString("<!DOCTYPE html>\r\n<html lang=\"" + w.notice.tag + "\"><body style=\"font-family:sans-serif;line-height:1.5\">\r\n<p>" + html.EscapeString(t.head()) + "</p>\r\n")
	if t.More {
		b.WriteString("<p style=\"color:#666666\">" + w.more + "</p>\r\n")
	}
	t.lines(func(day, head string, text []string, link string) {
		if day != "" {
			b.WriteString("<p style=\"color:#666666;font-size:small\">" + day + "</p>\r\n")
		}
		b.WriteString("<p style=\"margin:0;color:#666666;font-size:small\" dir=\"auto\">" + html.EscapeString(head) + "</p>\r\n<p style=\"margin:0 0 .8em\" dir=\"auto\">")
		for i, one := range text {
			if i > 0 {
				b.WriteString("<br>\r\n")
			}
			b.WriteString(html.EscapeString(one))
		}
		if link != "" {
			b.WriteString("<br>\r\n<a href=\"" + html.EscapeString(link) + "\">" + html.EscapeString(link) + "</a>")
		}
		b.WriteString("</p>\r\n")
	})
	if t.Ended {
		b.WriteString("<p>" + w.ended + "</p>\r\n")
	}
	if t.For != "" {
		b.WriteString("<p>" + html.EscapeString(w.back(t.For)) + "</p>\r\n</body></html>\r\n")
	} else {
		b.WriteString("<p><a href=\"" + html.EscapeString(t.Link) + "\">" + strings.TrimRight(w.open, ":：") + "</a></p>\r\n</body></html>\r\n")
	}
	return b.String()
}

// transcriptWords are what a transcript says in one language, besides what notices say.
type transcriptWords struct {
	notice  noticeWords
	subject func(who string) string // where the mail had none
	head    func(who, about string) string
	day     string // as time.Format takes it
	you     string
	file    fileWords
	more    string // there was more before
	ended   string
	open    string // above the link

	// For a visitor.
	yours    string                      // the mail, where it had no subject
	quoted   func(subject string) string // the mail
	answered func(who, about string) string
	back     func(address string) string // how to go on
}

// fileWords are what is said of a file.
type fileWords struct {
	named                              func(name string) string
	attached, linked, elsewhere, comma string // how one comes by it, behind its name and size
}

func englishTranscript() transcriptWords {
	return transcriptWords{
		notice:  englishNotice(),
		subject: func(who string) string { return "Chat with " + who },
		head:    func(who, about string) string { return fmt.Sprintf("Your chat with %s about %s:", who, about) },
		day:     "2 January 2006", you: "You",
		file:  fileWords{func(name string) string { return "File: " + name }, "attached", "not attached, found at:", "not attached; it is in the conversation", ", "},
		more:  "There was more before this; the conversation at your desk has all of it.",
		ended: "You have ended the conversation.", open: "The conversation at your desk:",
		yours: "a mail", quoted: func(s string) string { return "the mail \u201c" + s + "\u201d" },
		answered: func(who, about string) string {
			return fmt.Sprintf("%s has answered in your chat about %s:", who, about)
		},
		back: func(address string) string {
			return "To go on, follow the chat link in that mail again, or answer this one: it goes to " + address + "."
		},
	}
}

func japaneseTranscript() transcriptWords {
	return transcriptWords{
		notice:  japaneseNotice(),
		subject: func(who string) string { return who + "とのチャット" },
		head: func(who, about string) string {
			return fmt.Sprintf("%sについての%sとのチャットの記録です。", about, who)
		},
		day: "2006年1月2日", you: "あなた",
		file:  fileWords{func(name string) string { return "ファイル：" + name }, "添付", "添付していません。次の場所にあります：", "添付していません。会話でご覧いただけます", "、"},
		more:  "これより前の内容は省略しました。すべての内容はデスクの会話でご覧いただけます。",
		ended: "この会話は終了しました。", open: "デスクで会話を開く：",
		yours: "メール", quoted: func(s string) string { return "メール「" + s + "」" },
		answered: func(who, about string) string {
			return fmt.Sprintf("%sについてのチャットで、%sから返答がありました。", about, who)
		},
		back: func(address string) string {
			return "続けるには、そのメールのチャットリンクをもう一度開くか、このメールに返信してください（" + address + " に届きます）。"
		},
	}
}

func koreanTranscript() transcriptWords {
	return transcriptWords{
		notice:  koreanNotice(),
		subject: func(who string) string { return who + "과의 채팅" },
		head: func(who, about string) string {
			return fmt.Sprintf("%s에 관하여 %s과 나눈 채팅입니다.", about, who)
		},
		day: "2006년 1월 2일", you: "나",
		file:  fileWords{func(name string) string { return "파일: " + name }, "첨부", "첨부하지 않음, 다음 위치에 있음:", "첨부하지 않음, 대화에서 볼 수 있음", ", "},
		more:  "이전 내용은 생략했습니다. 전체 내용은 데스크의 대화에서 볼 수 있습니다.",
		ended: "이 대화를 종료했습니다.", open: "데스크에서 대화 열기:",
		yours: "메일", quoted: func(s string) string { return "메일 \u201c" + s + "\u201d" },
		answered: func(who, about string) string {
			return fmt.Sprintf("%s에 관한 채팅에 %s이 답했습니다.", about, who)
		},
		back: func(address string) string {
			return "계속하려면 그 메일의 채팅 링크를 다시 열거나 이 메일에 답장하세요. 답장은 " + address + "(으)로 전달됩니다."
		},
	}
}
