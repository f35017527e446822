package message

import (
	"fmt"
	"html"
	"time"

	"chmail/internal/address"
)

// Alarm tells the postmaster that a login's mail to other hosts is held: it sent more than a person does, and its password may be stolen.
type Alarm struct {
	To       string // the postmaster's login
	Host     string // this server
	Login    string
	Why      string // in one line of English
	At       time.Time
	Language string // of the postmaster: "en", "ja", "ko"; whatever else is English
}

type alarmWords struct{ subject, news, what string }

func (a *Alarm) say() alarmWords {
	at := a.At.UTC().Format("2006-01-02 15:04") + " UTC"
	switch a.Language {
	case "ja":
		return alarmWords{
			a.Login + " のメールを保留しています",
			fmt.Sprintf("%s から、%s の他サーバー宛てのメールを保留しています（%s）。パスワードが盗まれた可能性があります。", at, a.Login, a.Why),
			"確認し、問題がなければ解除してください。パスワードが盗まれた場合は、先に変更してください。",
		}
	case "ko":
		return alarmWords{
			a.Login + "의 메일을 보류 중입니다",
			fmt.Sprintf("%s부터 %s의 다른 서버로 가는 메일을 보류하고 있습니다(%s). 비밀번호가 도난당했을 수 있습니다.", at, a.Login, a.Why),
			"확인한 뒤 문제가 없으면 해제하십시오. 비밀번호가 도난당했다면 먼저 바꾸십시오.",
		}
	}
	return alarmWords{
		"Mail of " + a.Login + " is held",
		fmt.Sprintf("Since %s the mail of %s to other hosts is held: %s. Perhaps its password was stolen.", at, a.Login, a.Why),
		"Look at what waits. If it is meant, let it go; if the password was stolen, change that first, throw away what waits, and let it go again.",
	}
}

// Build writes the mail, as Notice.Build does. An error means that To is no address.
func (a *Alarm) Build() ([]byte, error) {
	to, err := address.Parse(a.To)
	if err != nil {
		return nil, fmt.Errorf("building an alarm: %w", err)
	}
	notice := (&Notice{Language: a.Language}).say()
	w := a.say()
	verbs := []string{"chmail account passwd " + a.Login, "chmail queue list --login " + a.Login, "chmail queue drop --login " + a.Login, "chmail queue release --login " + a.Login} // in the order of an account that was stolen
	l := letter{to: to, from: a.Host, host: a.Host, subject: w.subject, at: a.At, tag: notice.tag, text: w.news + "\r\n\r\n" + w.what + "\r\n\r\n"}
	l.html = "<!DOCTYPE html>\r\n<html lang=\"" + notice.tag + "\"><body style=\"font-family:sans-serif;line-height:1.5\">\r\n<p>" + html.EscapeString(w.news) + "</p>\r\n<p>" + html.EscapeString(w.what) + "</p>\r\n<pre>"
	for _, v := range verbs {
		l.text += "    " + v + "\r\n"
		l.html += html.EscapeString(v) + "\r\n"
	}
	l.html += "</pre>\r\n</body></html>\r\n"
	return l.build(), nil
}
