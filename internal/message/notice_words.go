package message

import "fmt"

// noticeWords are what a notice says in one language.
type noticeWords struct {
	tag         string // of the language (BCP 47)
	from        func(domain string) string
	wants       func(who string) string        // the subject where the mail had none
	somebody    string                         // who has not said who he is
	honour      string                         // behind a name
	aMail       string                         // a mail without a subject
	open, close string                         // around a subject
	news        func(who, about string) string // what happened
	layout      string                         // of a time in UTC, as time.Format takes it
	when        func(calls int, at string) string
	said        string // above what the visitor has written
	answer      string // above the link
	button      string
	signIn      string
}

// say is the notice's language.
func (n *Notice) say() noticeWords {
	switch n.Language {
	case "ja":
		return japaneseNotice()
	case "ko":
		return koreanNotice()
	}
	return englishNotice()
}

func englishNotice() noticeWords {
	return noticeWords{
		tag:      "en",
		from:     func(domain string) string { return "Chat on " + domain },
		wants:    func(who string) string { return who + " wants to chat with you" },
		somebody: "Somebody",
		aMail:    "a mail of yours", open: "your mail \u201c", close: "\u201d",
		news: func(who, about string) string {
			return fmt.Sprintf("%s followed the chat link in %s and wanted to talk to you, but you could not be reached.", who, about)
		},
		layout: "2 January 2006 at 15:04",
		when: func(calls int, at string) string {
			if calls > 1 {
				return fmt.Sprintf("There were %d calls, the last on %s.", calls, at)
			}
			return "That was on " + at + "."
		},
		said: "Written in the chat:", answer: "Answer here:", button: "Open the conversation",
		signIn: "You will be asked to sign in with your mail login. Replying to this mail reaches the postmaster, not the caller.",
	}
}

func japaneseNotice() noticeWords {
	return noticeWords{
		tag:      "ja",
		from:     func(domain string) string { return domain + " のチャット" },
		wants:    func(who string) string { return who + "からチャットの呼び出しがありました" },
		somebody: "ゲストの方", honour: " さん",
		aMail: "お送りになったメール", open: "お送りになったメール「", close: "」",
		news: func(who, about string) string {
			return fmt.Sprintf("%sが%sのチャットリンクを開き、お話しになりたいとのことでしたが、連絡がつきませんでした。", who, about)
		},
		layout: "2006年1月2日 15:04",
		when: func(calls int, at string) string {
			if calls > 1 {
				return fmt.Sprintf("呼び出しは %d 回あり、最後の呼び出しは %s でした。", calls, at)
			}
			return "呼び出しがあったのは " + at + " です。"
		},
		said: "チャットに書き込まれた内容：", answer: "こちらから返答できます：", button: "会話を開く",
		signIn: "メールアカウントでのログインが必要です。このメールに返信すると、呼び出した方ではなくメール管理者に届きます。",
	}
}

func koreanNotice() noticeWords {
	return noticeWords{
		tag:      "ko",
		from:     func(domain string) string { return domain + " 채팅" },
		wants:    func(who string) string { return who + "이 채팅을 요청했습니다" },
		somebody: "이름을 밝히지 않은 분", honour: " 님", // both take 이
		aMail: "보내신 메일", open: "보내신 메일 “", close: "”",
		news: func(who, about string) string {
			return fmt.Sprintf("%s이 %s에 있는 채팅 링크를 열고 대화를 요청했지만 연락이 닿지 않았습니다.", who, about)
		},
		layout: "2006년 1월 2일 15:04",
		when: func(calls int, at string) string {
			if calls > 1 {
				return fmt.Sprintf("호출은 모두 %d번 있었고, 마지막 호출 시각은 %s입니다.", calls, at)
			}
			return "호출 시각은 " + at + "입니다."
		},
		said: "채팅에 남긴 글:", answer: "여기에서 답할 수 있습니다:", button: "대화 열기",
		signIn: "메일 계정으로 로그인해야 합니다. 이 메일에 답장하면 호출한 분이 아니라 메일 관리자에게 전달됩니다.",
	}
}
