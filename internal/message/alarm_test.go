package message

import (
	"net/mail"
	"strings"
	"testing"
	"time"
)

func TestAnAlarmSaysWhoseMailIsHeldAndWhatToDo(t *testing.T) {
	t.Parallel()
	for language, subject := range map[string]string{"en": "Mail of alice@example.com is held", "ja": "alice@example.com のメールを保留しています", "ko": "alice@example.com의 메일을 보류 중입니다"} {
		a := Alarm{To: "postmaster@example.com", Host: "mail.example.com", Login: "alice@example.com", Why: "more than 5 <recipients> in a day", At: time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC), Language: language}
		raw, err := a.Build()
		if err != nil {
			t.Fatal(err)
		}
		m, err := mail.ReadMessage(strings.NewReader(string(raw)))
		if err != nil {
			t.Fatal(err)
		}
		if got := DecodeText(m.Header.Get("Subject"), 200); got != subject {
			t.Errorf("%s: subject %q", language, got)
		}
		if !IsASCII(raw) || strings.Contains(string(raw), "<recipients> in a day</p>") {
			t.Errorf("%s: %s", language, raw)
		}
	}
	if _, err := (&Alarm{To: "nobody"}).Build(); err == nil {
		t.Error("an alarm to no address was built")
	}
}
