package pages

import "strings"

// reasons are the text keys of why a stamp went no further, by the stamp's words.
var reasons = map[string]string{
	"the sender's wish": "mails.why.wish",
	"the sender's wish, which is none of on, header-only and off": "mails.why.word",
	"the account's setting":                   "mails.why.account",
	"the account's setting could not be read": "mails.why.unread",
	"the server's setting":                    "mails.why.server",
	"signed":                                  "mails.why.signed",
	"encrypted":                               "mails.why.encrypted",
	"S/MIME":                                  "mails.why.smime",
	"inline PGP":                              "mails.why.pgp",
	"mailing list":                            "mails.why.list",
	"automatic mail":                          "mails.why.automatic",
	"null sender":                             "mails.why.automatic",
	"report":                                  "mails.why.report",
	"calendar":                                "mails.why.calendar",
	"no text body":                            "mails.why.textless",
	"no body":                                 "mails.why.textless",
	"escape sequences in the text":            "mails.why.escapes",
	"no card":                                 "mails.why.cardless",
	"no link":                                 "mails.why.cardless",
}

// openings are those of the reasons that go on with what is different in every mail: the text key, and whether that is for its sentence.
var openings = []struct {
	words, key string
	filled     bool
}{
	{"a recipient's domain, ", "mails.why.domain", true},
	{"charset ", "mails.why.charset", true},
	{"transfer encoding ", "mails.why.encoding", true},
	{"no card: ", "mails.why.cardless", false},
}

// explain says why a stamp went no further in words that a person understands: a text key, what it fills in, and what the stamp itself said,
// where that tells an administrator more. A reason that is for him alone comes down to this: the mail could not be changed safely.
func explain(why string) (key, what, detail string) {
	if why == "" {
		return "", "", ""
	}
	if key := reasons[why]; key != "" {
		return key, "", ""
	}
	for _, o := range openings {
		switch rest, ok := strings.CutPrefix(why, o.words); {
		case ok && o.filled:
			return o.key, rest, ""
		case ok:
			return o.key, "", rest
		}
	}
	return "mails.why.unsafe", "", why
}
