package pages

import (
	"net/url"
	"regexp"
	"strings"

	"chmail/internal/call"
)

// messageID is a msg-id as RFC 5322 3.6.4 allows it, narrowed to what can do no harm in a URL that others read.
var messageID = regexp.MustCompile(`<[!#-'*+\-./-9=?A-Z^-~]{1,200}@[!#-'*+\-./-9=?A-Z\[\]^-~]{1,200}>`)

const maxReferences = 10 // a mailto that is too long is cut off by some systems

// mailto is the address that opens the reader's mail program with an answer in the original's thread (R12, RFC 6068). Programs
// that do not take In-Reply-To from there still get the subject.
func mailto(link call.Link) string {
	subject := strings.Join(strings.Fields(link.Mail.Subject), " ")
	if len(subject) < 3 || !strings.EqualFold(subject[:3], "re:") {
		subject = strings.TrimSpace("Re: " + subject)
	}
	out := "mailto:" + escapeAddress(link.Login) + "?subject=" + escapeField(subject)
	id := messageID.FindString(link.Mail.MessageID)
	if id == "" {
		return out
	}
	refs := messageID.FindAllString(link.Mail.References, -1)
	if len(refs) > maxReferences {
		refs = append(refs[:1:1], refs[len(refs)-maxReferences+1:]...) // the first is the thread's root
	}
	return out + "&In-Reply-To=" + escapeField(id) + "&References=" + escapeField(strings.Join(append(refs, id), " "))
}

// escapeField escapes a header field's value; blanks as %20, since + means itself in a mailto.
func escapeField(s string) string {
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
}

// escapeAddress leaves the @ that separates local part and domain as it is.
func escapeAddress(login string) string {
	at := strings.LastIndexByte(login, '@')
	if at < 0 {
		return escapeField(login)
	}
	return escapeField(login[:at]) + "@" + escapeField(login[at+1:])
}
