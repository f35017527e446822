package message

import (
	"fmt"
	"html"
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

	Language string // of the owner: "en", "ja", "ko"; whatever else is English
}

// Said is a message or a file in a transcript.
type Said struct {
	At   time.Time
	Mine bool   // the owner's
	Text string // of a message
	File string // name of a file; "" for a message
}

// Build writes the mail, as Notice.Build does. An error means that To is no address or Link no http(s) URL.
func (t *Transcript) Build() ([]byte, error) {
	to, err := address.Parse(t.To)
	if err != nil {
		return nil, fmt.Errorf("building a transcript: %w", err)
	}
	if u, err := url.Parse(t.Link); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || !plainText(t.Link) || len(t.Link) > MaxLine-80 || strings.ContainsAny(t.Link, " <>\"") {
		return nil, fmt.Errorf("building a transcript: the desk's link is no URL")
	}
	w := t.say()
	l := letter{
		to: to, from: w.notice.from(to.Domain), host: t.Host, subject: reply(t.About.Subject, w.subject(t.who())), at: t.At, about: t.About, tag: w.notice.tag,
		text: t.text(), html: t.html(),
	}
	return l.build(), nil
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
	return w.head(t.who(), about)
}

// lines are what was said, one after the other: when and by whom, and the lines of the text.
func (t *Transcript) lines(line func(day, head string, text []string)) {
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
		}
		var text []string
		if s.File != "" {
			text = []string{w.file(clean(s.File, maxMessage))}
		} else {
			for one := range strings.Lines(s.Text) {
				text = append(text, clean(one, len(one)))
			}
		}
		line(day, s.At.UTC().Format("15:04")+"  "+name, text)
	}
}

func (t *Transcript) text() string {
	w := t.say()
	var b strings.Builder
	b.WriteString(t.head() + "\r\n")
	if t.More {
		b.WriteString("\r\n" + w.more + "\r\n")
	}
	t.lines(func(day, head string, text []string) {
		if day != "" {
			b.WriteString("\r\n" + day + "\r\n")
		}
		b.WriteString("\r\n" + head + "\r\n")
		for _, one := range text {
			b.WriteString("> " + one + "\r\n")
		}
	})
	if t.Ended {
		b.WriteString("\r\n" + w.ended + "\r\n")
	}
	b.WriteString("\r\n" + w.open + "\r\n" + t.Link + "\r\n")
	return b.String()
}

func (t *Transcript) html() string {
	w := t.say()
	var b strings.Builder
	b.WriteString("<!DOCTYPE html>\r\n<html lang=\"" + w.notice.tag + "\"><body style=\"font-family:sans-serif;line-height:1.5\">\r\n<p>" + html.EscapeString(t.head()) + "</p>\r\n")
	if t.More {
		b.WriteString("<p style=\"color:#666666\">" + w.more + "</p>\r\n")
	}
	t.lines(func(day, head string, text []string) {
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
		b.WriteString("</p>\r\n")
	})
	if t.Ended {
		b.WriteString("<p>" + w.ended + "</p>\r\n")
	}
	b.WriteString("<p><a href=\"" + html.EscapeString(t.Link) + "\">" + w.open + "</a></p>\r\n</body></html>\r\n")
	return b.String()
}

// transcriptWords are what a transcript says in one language, besides what notices say.
type transcriptWords struct {
	notice  noticeWords
	subject func(who string) string // where the mail had none
	head    func(who, about string) string
	day     string // as time.Format takes it
	you     string
	file    func(name string) string
	more    string // there was more before
	ended   string
	open    string // above the link
}

func englishTranscript() transcriptWords {
	return transcriptWords{
		notice:  englishNotice(),
		subject: func(who string) string { return "Chat with " + who },
		head:    func(who, about string) string { return fmt.Sprintf("Your chat with %s about %s:", who, about) },
		day:     "2 January 2006", you: "You",
		file:  func(name string) string { return "File: " + name },
		more:  "There was more before this; the conversation at your desk has all of it.",
		ended: "You have ended the conversation.", open: "The conversation at your desk:",
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
		file:  func(name string) string { return "ファイル：" + name },
		more:  "これより前の内容は省略しました。すべての内容はデスクの会話でご覧いただけます。",
		ended: "この会話は終了しました。", open: "デスクで会話を開く：",
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
		file:  func(name string) string { return "파일: " + name },
		more:  "이전 내용은 생략했습니다. 전체 내용은 데스크의 대화에서 볼 수 있습니다.",
		ended: "이 대화를 종료했습니다.", open: "데스크에서 대화 열기:",
	}
}
