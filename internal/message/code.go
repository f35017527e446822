package message

import (
	"fmt"
	"time"

	"chmail/internal/address"
)

// A Code is the mail that brings a code to an address, which whoever types it proves to be his. It holds nothing that anybody has typed.
type Code struct {
	To       string
	From     string // domain whose postmaster sends it
	Host     string // this server's name, for the Message-ID
	Code     string // digits
	At       time.Time
	Language string // "en", "ja", "ko"; whatever else is English
}

// Build writes the mail, as Notice.Build does. An error means that To is no address.
func (c *Code) Build() ([]byte, error) {
	to, err := address.Parse(c.To)
	if err != nil {
		return nil, fmt.Errorf("building a mail with a code: %w", err)
	}
	notice := (&Notice{Language: c.Language}).say()
	w := c.say()
	l := letter{to: to, sender: c.From, from: notice.from(c.From), host: c.Host, subject: w.subject, at: c.At, tag: notice.tag}
	l.text = w.is + "\r\n\r\n    " + c.Code + "\r\n\r\n" + w.ignore + "\r\n"
	l.html = "<!DOCTYPE html>\r\n<html lang=\"" + notice.tag + "\"><body style=\"font-family:sans-serif;line-height:1.5\">\r\n<p>" + w.is + "</p>\r\n<p style=\"font-size:1.6em;letter-spacing:.1em\"><b>" + c.Code + "</b></p>\r\n<p style=\"color:#666666\">" +
		w.ignore + "</p>\r\n</body></html>\r\n"
	return l.build(), nil
}

type codeWords struct{ subject, is, ignore string }

func (c *Code) say() codeWords {
	switch c.Language {
	case "ja":
		return codeWords{"チャットのコード", "このアドレスを確認するためのコードです。15 分間有効です。", "お心当たりがない場合は、このメールを無視してください。"}
	case "ko":
		return codeWords{"채팅 코드", "이 주소를 확인하는 코드입니다. 15분 동안 유효합니다.", "요청하지 않으셨다면 이 메일을 무시하세요."}
	}
	return codeWords{"Your chat code", "This code proves, for 15 minutes, that this address is yours in a chat:", "If you have not asked for it, do nothing: somebody has mistyped his address."}
}
