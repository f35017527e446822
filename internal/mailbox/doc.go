// Package mailbox keeps the mail that has been accepted: the messages, each stored once however many maildrops it lies in, and the
// maildrops, of which a POP3 session sees a snapshot (design section 3).
//
// A message is immutable bytes. Up to 64 KiB it lies in its row, so that one fsync pays for all mails of a batch; a larger one is a file (a
// blob) that is on the disk before the row that names it. Entries of maildrops point at messages; the last pointer takes the message along.
//
// Entries are numbered 1, 2, 3 … within their maildrop, without a hole, under the maildrop's row. The row also counts the deletions: what one
// session deletes at its QUIT is one deletion with one number (some thousands at once are several). A session is the pair (last entry, last deletion) that it found when it
// began: it sees an entry that is not later than the one, unless it went by a deletion that is not later than the other. Delivering
// and deleting therefore never disturb a session, and nothing is locked. What has been deleted is counted out at once, and stays
// readable until no session can see it any more; then the janitor removes it, an hour after the deletion in any case.
//
// POP3 counts messages from 1 without holes. To find message 57,123 nobody walks: every deletion notes how many entries it took out of
// each block of 1024, so that the entry is found through a few hundred numbers, whatever the size of the maildrop, and a session keeps nothing but
// the few entries it looked at last.
package mailbox
