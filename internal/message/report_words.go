package message

import "fmt"

// reportWords are what a report says in one language.
type reportWords struct {
	tag         string // of the language (BCP 47)
	from        func(domain string) string
	subject     func(a Action, about string) string
	aMail       string                                  // a mail without a subject
	open, close string                                  // around a subject
	layout      string                                  // of a time in UTC, as time.Format takes it
	news        func(a Action, about, at string) string // above the recipients
	said        func(server string) string              // above a server's words
	next        func(a Action, until string) string     // what happens now
}

func (r *Report) say() reportWords {
	switch r.Language {
	case "ja":
		return japaneseReport()
	case "ko":
		return koreanReport()
	}
	return englishReport()
}

// titled is a title, with what it is about where that has a name.
func titled(title, about string) string {
	if about == "" {
		return title
	}
	return title + ": " + about
}

func englishReport() reportWords {
	return reportWords{
		tag:  "en",
		from: func(domain string) string { return "Mail on " + domain },
		subject: func(a Action, about string) string {
			switch a {
			case Delayed:
				return titled("Not delivered yet", about)
			case Relayed:
				return titled("Handed on", about)
			}
			return titled("Not delivered", about)
		},
		aMail: "your mail", open: "your mail \u201c", close: "\u201d",
		layout: "2 January 2006 at 15:04",
		news: func(a Action, about, at string) string {
			switch a {
			case Delayed:
				return fmt.Sprintf("So far, %s, sent on %s, could not be delivered to:", about, at)
			case Relayed:
				return fmt.Sprintf("As you have asked to be told: %s, sent on %s, was taken by a server that sends no further reports, for:", about, at)
			}
			return fmt.Sprintf("Sorry: %s, sent on %s, could not be delivered to:", about, at)
		},
		said: func(server string) string { return server + " said:" },
		next: func(a Action, until string) string {
			switch a {
			case Delayed:
				return "It will be tried until " + until + ". There is no need to send it again."
			case Relayed:
				return "Nothing needs to be done."
			}
			return "It will not be tried again. The header of the mail is attached."
		},
	}
}

func japaneseReport() reportWords {
	return reportWords{
		tag:  "ja",
		from: func(domain string) string { return domain + " のメール" },
		subject: func(a Action, about string) string {
			switch a {
			case Delayed:
				return titled("まだ配信できていません", about)
			case Relayed:
				return titled("転送されました", about)
			}
			return titled("配信できませんでした", about)
		},
		aMail: "メール", open: "メール「", close: "」",
		layout: "2006年1月2日 15:04",
		news: func(a Action, about, at string) string {
			switch a {
			case Delayed:
				return fmt.Sprintf("%s に送信された%sは、次の宛先にまだ配信できていません。", at, about)
			case Relayed:
				return fmt.Sprintf("ご依頼によりお知らせします。%s に送信された%sは、これ以上の報告を行わないサーバーに受け取られました。宛先:", at, about)
			}
			return fmt.Sprintf("申し訳ありません。%s に送信された%sは、次の宛先に配信できませんでした。", at, about)
		},
		said: func(server string) string { return server + " の応答:" },
		next: func(a Action, until string) string {
			switch a {
			case Delayed:
				return until + " まで再試行します。もう一度送信する必要はありません。"
			case Relayed:
				return "何もする必要はありません。"
			}
			return "これ以上の再試行は行いません。メールのヘッダーを添付します。"
		},
	}
}

func koreanReport() reportWords {
	return reportWords{
		tag:  "ko",
		from: func(domain string) string { return domain + " 메일" },
		subject: func(a Action, about string) string {
			switch a {
			case Delayed:
				return titled("아직 배달되지 않음", about)
			case Relayed:
				return titled("전달됨", about)
			}
			return titled("배달되지 않음", about)
		},
		aMail: "메일", open: "메일 \u201c", close: "\u201d",
		layout: "2006년 1월 2일 15:04",
		news: func(a Action, about, at string) string {
			switch a {
			case Delayed:
				return fmt.Sprintf("%s에 보낸 %s이(가) 다음 수신인에게 아직 배달되지 않았습니다.", at, about)
			case Relayed:
				return fmt.Sprintf("요청하신 알림입니다. %s에 보낸 %s을(를) 더 이상 알리지 않는 서버가 받았습니다. 수신인:", at, about)
			}
			return fmt.Sprintf("죄송합니다. %s에 보낸 %s을(를) 다음 수신인에게 배달하지 못했습니다.", at, about)
		},
		said: func(server string) string { return server + "의 응답:" },
		next: func(a Action, until string) string {
			switch a {
			case Delayed:
				return until + "까지 다시 시도합니다. 다시 보내실 필요는 없습니다."
			case Relayed:
				return "하실 일은 없습니다."
			}
			return "더 이상 시도하지 않습니다. 메일의 헤더를 첨부합니다."
		},
	}
}
