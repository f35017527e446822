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
	const noFrom = "550 5.7.1 the mail has no From field; it must name an address of yours"
	for in, want := range map[string]struct{ out, verdict, refused string }{
		"From: a@x.test\n\nHello\n":                        {fields + "From: a@x.test\n\nHello\n\nChat with Alice about this mail:\n" + aLink + "\n", "body\n", ""},
		"Ch-Host: x\nContent-Type: image/png\n\nx\n":       {fields + "Content-Type: image/png\n\nx\n", "header-only: no text body\n", noFrom},
		"CH-Chat: Off\n\nHello\n":                          {"\nHello\n", "skipped: the sender's wish\n", noFrom},
		"CH-Chat: header-only\n\nHello\n":                  {fields + "\nHello\n", "header-only: the sender's wish\n", noFrom},
		" folded\n\nHello\n":                               {" folded\n\nHello\n", "skipped: the header begins with a folded line\n", "550 5.6.0 the header begins with a folded line"},
		strings.Repeat("x", 200_000) + "\n\rHello\n\r\n\n": {"", "header-only: a header line that is no field\n", "550 5.6.11 a bare CR or LF in the mail: lines end in CRLF"},
		"From: a@x.test\nnonsense\n\nx\n":                  {"", "header-only: a header line that is no field\n", "550 5.6.0 a line of the header is no header field; a blank line must stand between header and body"},
	} {
		out, errs, status := chmail(t, in, line...)
		says := want.verdict
		if want.refused != "" {
			says += "But the server would refuse this mail: " + want.refused + "\n"
		}
		if status != statusDone || errs != says || want.out != "" && out != strings.ReplaceAll(want.out, "\n", "\r\n") {
			t.Errorf("%.60q: status %d, %q, %q", in, status, errs, out)
		}
		if strings.Contains(strings.ReplaceAll(out, "\r\n", ""), "\n") {
			t.Errorf("%.60q: a bare LF in %q", in, out)
		}
		_, errs, status = chmail(t, in, append(line, "--json")...)
		var v verdictJSON
		if err := json.Unmarshal([]byte(errs), &v); err != nil || status != statusDone || !strings.HasPrefix(want.verdict, v.Verdict) || !strings.Contains(want.verdict, v.Reason) || v.Size != int64(len(out)) || v.Refused != want.refused {
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
	const right = "--login a@x.test --link " + aLink
	for args, says := range map[string]string{
		"": "--login", "--login alice@example.com": "--link", "--login nobody --link " + aLink: "--login nobody", "--login a@x.test --link javascript:x": "https://",
		right + " --port 70000": `--port: needs a number from 1 to 65535, for instance 24000, and not "70000"`, right + " --port -1": `and not "-1"`, right + " --port 0": `and not "0"`,
		right + " --port abc": `and not "abc"`, right + " --port": "needs a number", right + " --language de": "language",
		right + " --host https://chat.example.com": "--host https://chat.example.com: write a host name", right + " --host chat.example.com:443": "without a port", right + " --host=-x.test": "--host -x.test",
		right + " --host a\rb.test": "--host", right + " --host [192.0.2.1]": "--host", right + " --host fe80::1%eth0": "--host",
		right + " --name " + strings.Repeat("x", 201): "--name: this name cannot be used: longer than 200 octets", right + " --name a\u202eb": "--name: this name cannot be used: it holds a control character",
	} {
		out, errs, status := chmail(t, "From: a@x.test\n\nx\n", append([]string{"stamp"}, strings.FieldsFunc(args, func(r rune) bool { return r == ' ' })...)...)
		if status != statusUsage || !strings.Contains(errs, says) || out != "" {
			t.Errorf("chmail stamp %s: status %d, %s%s", args, status, out, errs)
		}
	}
	for _, host := range []string{"192.0.2.1", "2001:db8::1", "chat.例え.test", "localhost"} {
		if out, errs, status := chmail(t, "From: a@x.test\n\nx\n", append([]string{"stamp", "--host", host}, strings.Fields(right)...)...); status != statusDone || !strings.Contains(out, "CH-Host: ") {
			t.Errorf("--host %s: status %d, %s%s", host, status, out, errs)
		}
	}
	for in, says := range map[string]string{
		"": "no mail on standard input", "From a@x.test Tue\nFrom: a@x.test\n\nHello\n": "sed 1d", "From a@x.test Tue\n\nHello\n\nFrom b@x.test Wed\n\nHello\n": "one mail at a time",
	} {
		out, errs, status := chmail(t, in, append([]string{"stamp", "--json"}, strings.Fields(right)...)...)
		if status != statusRefused || !strings.Contains(errs, says) || out != "" {
			t.Errorf("%.60q: status %d, %s%s", in, status, out, errs)
		}
	}
	if help, _, _ := chmail(t, "", "stamp", "--help"); strings.Count(strings.Join(strings.Fields(help), " "), "the charset of the mail cannot write") != 2 {
		t.Errorf("the help does not say when a name or a language cannot show:\n%s", help)
	}
}
