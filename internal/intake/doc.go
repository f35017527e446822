// Package intake is the single doorway for mail. Whatever comes in, a person's mail, a mail from outside or a notice of the system's own, is
// checked, completed, stamped and committed here, in one order for all (design 5):
//
//	strict read → ownership of the From field → normalise → card → stamp → trace fields → one commit
//
// A mail up to 64 KiB stays in memory, a larger one lies in the spool and is worked on by pieces. What is stored never changes again.
package intake
