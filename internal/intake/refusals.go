package intake

import (
	"errors"
	"syscall"

	"chmail/internal/message"
	"chmail/internal/sqldb"
)

// What strangers are told.
var (
	noFrom      = message.Refuse(550, [3]int{5, 7, 1}, "the mail has no From field; it must name an address of yours")
	twoFrom     = message.Refuse(550, [3]int{5, 7, 1}, "the mail has more than one From field; whom it is from must be beyond doubt")
	unreadable  = message.Refuse(550, [3]int{5, 7, 1}, "the From or Sender field cannot be read; it is written as: Your Name <address>")
	foreignFrom = message.Refuse(550, [3]int{5, 7, 1}, "the address in the From or Sender field does not belong to your login, nor may it write as that address; whoever runs this server can allow it (send-as)")
	notTheirs   = message.Refuse(550, [3]int{5, 7, 1}, "refused by the DMARC policy of %s, the domain in From: neither SPF nor DKIM shows that the mail is from there")
	unclearFrom = message.Refuse(550, [3]int{5, 7, 1}, "the From field cannot be read with certainty; it is written as: Your Name <address>")
	unsure      = message.Refuse(451, [3]int{4, 7, 1}, "whom the mail is from cannot be found out just now, try again later")
	spam        = message.Refuse(550, [3]int{5, 7, 1}, "the mail looks like spam; whoever sends it in earnest may write to postmaster")
	doubted     = message.Refuse(451, [3]int{4, 7, 1}, "the mail is not taken just now, try again later")
	notByUs     = message.Refuse(550, [3]int{5, 7, 1}, "the domain in From is ours: mail from it is submitted with a login, by port 465 or 587")
	stray       = message.Refuse(550, [3]int{5, 6, 0}, "a line of the header is no header field; a blank line must stand between header and body")
	foldedFirst = message.Refuse(550, [3]int{5, 6, 0}, "the header begins with a folded line")
	headerSize  = message.Refuse(552, [3]int{5, 3, 4}, "the header is larger than 240 KiB, or has too many fields")
	nulOctet    = message.Refuse(550, [3]int{5, 6, 0}, "the mail contains a NUL octet")
	loop        = message.Refuse(554, [3]int{5, 4, 6}, "the mail has more than 50 Received fields: it is going round in circles")
	longLine    = message.Refuse(550, [3]int{5, 6, 0}, "a line of the mail is longer than 998 octets")
	longSigned  = message.Refuse(550, [3]int{5, 6, 2}, "a line is longer than 998 octets, in a part that is signed or encrypted and must not be changed")
	longKept    = message.Refuse(550, [3]int{5, 6, 3}, "a line is longer than 998 octets and cannot be encoded safely; send that part in quoted-printable or base64")
	longHeader  = message.Refuse(550, [3]int{5, 6, 0}, "a line of the header is longer than 998 octets and cannot be folded")
	notEnough   = message.Refuse(452, [3]int{4, 3, 1}, "no storage left just now, try again later")
	noMailbox   = message.Refuse(550, [3]int{5, 1, 1}, "no such mailbox here any more")
	signedOut   = &message.Refusal{Code: 421, Enhanced: [3]int{4, 7, 0}, Text: "this account was removed after you signed in; sign in again", Close: true}
	noLogin     = message.Refuse(550, [3]int{5, 1, 1}, "no such login")
	noRoom      = message.Refuse(552, [3]int{5, 2, 2}, "the mailbox is full")
	bareEnd     = &message.Refusal{Code: 550, Enhanced: [3]int{5, 6, 11}, Text: "a bare CR or LF in the mail: lines end in CRLF", Close: true}
)

// full turns an error about a full disk into the reply for it.
func full(err error) error {
	if sqldb.IsFull(err) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return notEnough.Because(err)
	}
	return err
}
