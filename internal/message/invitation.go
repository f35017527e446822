package message

import (
	"fmt"
	"html"
	"time"

	"chmail/internal/address"
)

// An Invitation is the mail that tells somebody with an account that another one has invited him into a conversation. With whom and about what is for
// his desk to say: it holds nothing that anybody has typed.
type Invitation struct {
	To       string
	From     string // domain whose postmaster sends it
	Host     string // this server's name, for the Message-ID
	By       string // login of the inviter
	Link     string // to the desk
	At       time.Time
	Language string // "en", "ja", "ko"; whatever else is English
}

// Build writes the mail, as Notice.Build does. An error means that To is no address.
func (i *Invitation) Build() ([]byte, error) {
	to, err := address.Parse(i.To)
	if err != nil {
		return nil, fmt.Errorf("building a mail with an invitation: %w", err)
	}
	notice := (&Notice{Language: i.Language}).say()
	subject, is := i.say()
	by := clean(i.By, maxWho)
	l := letter{to: to, sender: i.From, from: notice.from(i.From), host: i.Host, subject: subject, at: i.At, tag: notice.tag}
	l.text = fmt.Sprintf(is, by) + "\r\n\r\n    " + i.Link + "\r\n"
	l.html = "<!DOCTYPE html>\r\n<html lang=\"" + notice.tag + "\"><body style=\"font-family:sans-serif;line-height:1.5\">\r\n<p>" + html.EscapeString(fmt.Sprintf(is, by)) +
		"</p>\r\n<p><a href=\"" + html.EscapeString(i.Link) + "\">" + html.EscapeString(i.Link) + "</a></p>\r\n</body></html>\r\n"
	return l.build(), nil
}

func (i *Invitation) say() (subject, is string) {
	switch i.Language {
	case "ja":
		return "チャットへの招待", "%s さんから、チャットに招待されています。24 時間以内にデスクを開くと、相手と用件を確認して参加できます。"
	case "ko":
		return "채팅 초대", "%s 님이 채팅에 초대했습니다. 24시간 안에 데스크를 열면 누구와 무엇에 관한 것인지 확인하고 참여할 수 있습니다."
	}
	return "You are invited into a chat", "%s invites you into a chat. Within 24 hours your desk shows with whom and about which mail, and you can join there:"
}
