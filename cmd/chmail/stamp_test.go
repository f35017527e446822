package main

import (
	"encoding/json"
	"strings"
	"testing"
)

const aLink = "https://chat.example.com/c/AAAAAAAAAAAAAAAAAAAAAA"

func TestAnAdministratorSeesWhatTheServerWouldDo(t *testing.T) {
	t.Parallel()
	line := []string{"stamp", "--login", "alice@example.com", "--name", "Alice", "--host", "chat.example.com", "--port", "24001", "--link", aLink}
	fields := "CH-Login: alice@example.com\nCH-Host: chat.example.com\nCH-Port: 24001\nCH-Link: <" + aLink + ">\n"
	for in, want := range map[string]struct{ out, verdict string }{
		"From: a@x.test\n\nHello\n":                        {fields + "From: a@x.test\n\nHello\n\nChat with Alice about this mail:\n" + aLink + "\n", "body\n"},
		"From a@x.test Tue\nFrom: a@x.test\n\nHello\r\nx":  {"From a@x.test Tue\n" + fields + "From: a@x.test\n\nHello\nx\n\nChat with Alice about this mail:\n" + aLink + "\n", "body\n"},
		"Ch-Host: x\nContent-Type: image/png\n\nx\n":       {fields + "Content-Type: image/png\n\nx\n", "header-only: no text body\n"},
		"CH-Chat: Off\n\nHello\n":                          {"\nHello\n", "skipped: the sender's wish\n"},
		"CH-Chat: header-only\n\nHello\n":                  {fields + "\nHello\n", "header-only: the sender's wish\n"},
		" folded\n\nHello\n":                               {" folded\n\nHello\n", "skipped: the header begins with a folded line\n"},
		strings.Repeat("x", 200_000) + "\n\rHello\n\r\n\n": {"", "header-only: a header line that is no field\n"},
	} {
		out, errs, status := chmail(t, in, line...)
		if status != statusDone || errs != want.verdict || want.out != "" && out != strings.ReplaceAll(want.out, "\n", "\r\n") {
			t.Errorf("%.60q: status %d, %q, %q", in, status, errs, out)
		}
		if strings.Contains(strings.ReplaceAll(out, "\r\n", ""), "\n") {
			t.Errorf("%.60q: a bare LF in %q", in, out)
		}
		_, errs, status = chmail(t, in, append(line, "--json")...)
		var v verdictJSON
		if err := json.Unmarshal([]byte(errs), &v); err != nil || status != statusDone || !strings.HasPrefix(want.verdict, v.Verdict) || !strings.Contains(want.verdict, v.Reason) || v.Size != int64(len(out)) {
			t.Errorf("%.60q: status %d, %v, %s", in, status, err, errs)
		}
	}
	out, _, _ := chmail(t, "From: a@x.test\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nx\n", append(line, "--language", "ja")...)
	if !strings.Contains(out, "Alice さんとチャット:") {
		t.Errorf("in Japanese: %s", out)
	}
}

func TestAStampThatCannotBeSaysWhatIsRight(t *testing.T) {
	t.Parallel()
	for args, says := range map[string]string{
		"": "--login", "--login alice@example.com": "--link", "--login nobody --link " + aLink: "--login nobody", "--login a@x.test --link javascript:x": "https://",
		"--login a@x.test --port 70000 --link " + aLink: "--port 70000", "--login a@x.test --language de --link " + aLink: "language",
	} {
		out, errs, status := chmail(t, "From: a@x.test\n\nx\n", append([]string{"stamp"}, strings.Fields(args)...)...)
		if status != statusUsage || !strings.Contains(errs, says) || out != "" {
			t.Errorf("chmail stamp %s: status %d, %s%s", args, status, out, errs)
		}
	}
}
