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
	why         map[reason]string
	next        func(a Action, until string, full bool) string // what happens now, and what is attached
	id          func(id string) string                         // by which an administrator finds the mail
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

// comesBack chooses by what comes back: the whole mail, or its header.
func comesBack(full bool, mail, header string) string {
	if full {
		return mail
	}
	return header
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
			case Delivered:
				return titled("Delivered", about)
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
			case Delivered:
				return fmt.Sprintf("As you have asked to be told: %s, sent on %s, has been delivered to:", about, at)
			}
			return fmt.Sprintf("Sorry: %s, sent on %s, could not be delivered to:", about, at)
		},
		said: func(server string) string { return server + " said:" },
		why: map[reason]string{
			unknown: "There is no such address. Look for a typing error.", noDomain: "There is no such domain, or it takes no mail. Look for a typing error behind the @.",
			fullMaildrop: "The mailbox is full.", closed: "The mailbox takes no mail.", tooLarge: "The mail is too large for the other side.",
			byRules: "The other side has rules against this mail. What it says may help whoever looks after your mail.", form: "The other side does not take mail of this form.",
			unreachable: "The other side could not be reached.", tooLate: "The other side has not taken it in all the time that it was tried.",
			givenUp: "The administrator of this server has given it up.", refused: "The other side has refused it.", busy: "The other side could not take it just then.",
		},
		id: func(id string) string { return "Whoever looks after this server finds the mail by: " + id },
		next: func(a Action, until string, full bool) string {
			switch a {
			case Delayed:
				return "It will be tried until " + until + ". There is no need to send it again."
			case Relayed, Delivered:
				return "Nothing needs to be done."
			}
			return "It will not be tried again. " + comesBack(full, "The mail is attached.", "The header of the mail is attached.")
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
			case Delivered:
				return titled("配信されました", about)
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
			case Delivered:
				return fmt.Sprintf("ご依頼によりお知らせします。%s に送信された%sは、次の宛先に配信されました。", at, about)
			}
			return fmt.Sprintf("申し訳ありません。%s に送信された%sは、次の宛先に配信できませんでした。", at, about)
		},
		said: func(server string) string { return server + " の応答:" },
		why: map[reason]string{
			unknown: "この宛先は存在しません。入力の誤りがないかご確認ください。", noDomain: "このドメインは存在しないか、メールを受け取りません。@ の後ろに入力の誤りがないかご確認ください。",
			fullMaildrop: "メールボックスがいっぱいです。", closed: "このメールボックスはメールを受け取りません。", tooLarge: "メールが大きすぎて、相手側で受け取れません。",
			byRules: "相手側の規則により、このメールは受け取られません。相手側の応答が、メールの管理者の手がかりになります。", form: "相手側は、この形式のメールを受け取りません。",
			unreachable: "相手側に接続できませんでした。", tooLate: "期限まで再試行しましたが、相手側に受け取られませんでした。",
			givenUp: "このサーバーの管理者が配信を取りやめました。", refused: "相手側に拒否されました。", busy: "相手側は、その時は受け取れませんでした。",
		},
		id: func(id string) string {
			return "このサーバーの管理者は、次の番号でメールを探せます: " + id
		},
		next: func(a Action, until string, full bool) string {
			switch a {
			case Delayed:
				return until + " まで再試行します。もう一度送信する必要はありません。"
			case Relayed, Delivered:
				return "何もする必要はありません。"
			}
			return "これ以上の再試行は行いません。" + comesBack(full, "メールを添付します。", "メールのヘッダーを添付します。")
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
			case Delivered:
				return titled("배달됨", about)
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
			case Delivered:
				return fmt.Sprintf("요청하신 알림입니다. %s에 보낸 %s이(가) 다음 수신인에게 배달되었습니다.", at, about)
			}
			return fmt.Sprintf("죄송합니다. %s에 보낸 %s을(를) 다음 수신인에게 배달하지 못했습니다.", at, about)
		},
		said: func(server string) string { return server + "의 응답:" },
		why: map[reason]string{
			unknown: "그런 주소가 없습니다. 오타가 없는지 확인해 주세요.", noDomain: "그런 도메인이 없거나 메일을 받지 않습니다. @ 뒤에 오타가 없는지 확인해 주세요.",
			fullMaildrop: "메일함이 가득 찼습니다.", closed: "이 메일함은 메일을 받지 않습니다.", tooLarge: "메일이 너무 커서 상대 서버가 받지 않습니다.",
			byRules: "상대 서버의 규칙 때문에 이 메일을 받지 않습니다. 상대 서버의 응답이 메일 관리자에게 도움이 될 수 있습니다.", form: "상대 서버는 이런 형식의 메일을 받지 않습니다.",
			unreachable: "상대 서버에 연결하지 못했습니다.", tooLate: "기한까지 다시 시도했지만 상대 서버가 받지 않았습니다.",
			givenUp: "이 서버의 관리자가 배달을 그만두었습니다.", refused: "상대 서버가 거절했습니다.", busy: "상대 서버가 그때는 받을 수 없었습니다.",
		},
		id: func(id string) string {
			return "이 서버의 관리자는 다음 번호로 메일을 찾을 수 있습니다: " + id
		},
		next: func(a Action, until string, full bool) string {
			switch a {
			case Delayed:
				return until + "까지 다시 시도합니다. 다시 보내실 필요는 없습니다."
			case Relayed, Delivered:
				return "하실 일은 없습니다."
			}
			return "더 이상 시도하지 않습니다. " + comesBack(full, "메일을 첨부합니다.", "메일의 헤더를 첨부합니다.")
		},
	}
}
