package intake

import (
	"errors"
	"syscall"

	"chmail/internal/message"
	"chmail/internal/sqldb"
)

// What strangers are told.
var (
	noFrom      = message.Refuse(550, [3]int{5, 7, 1}, "the mail has no From field")
	twoFrom     = message.Refuse(550, [3]int{5, 7, 1}, "the mail has more than one From field; whom it is from must be beyond doubt")
	unreadable  = message.Refuse(550, [3]int{5, 6, 0}, "the From or Sender field cannot be read as mail addresses")
	foreignFrom = message.Refuse(550, [3]int{5, 7, 1}, "the address in the From or Sender field does not belong to the login")
	foldedFirst = message.Refuse(550, [3]int{5, 6, 0}, "the header begins with a folded line")
	headerSize  = message.Refuse(552, [3]int{5, 3, 4}, "the header is larger than 256 KiB, or has too many fields")
	nulOctet    = message.Refuse(550, [3]int{5, 6, 0}, "the mail contains a NUL octet")
	loop        = message.Refuse(554, [3]int{5, 4, 6}, "the mail has more than 50 Received fields: it is going round in circles")
	longLine    = message.Refuse(550, [3]int{5, 6, 0}, "a line of the mail is longer than 998 octets")
	longKept    = message.Refuse(550, [3]int{5, 6, 0}, "a line is longer than 998 octets, in a part that must not be changed")
	longHeader  = message.Refuse(550, [3]int{5, 6, 0}, "a line of the header is longer than 998 octets and cannot be folded")
	notEnough   = message.Refuse(452, [3]int{4, 3, 1}, "no storage left just now, try again later")
)

// full turns an error about a full disk into the reply for it.
func full(err error) error {
	if sqldb.IsFull(err) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return notEnough.Because(err)
	}
	return err
}
