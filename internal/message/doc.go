// Package message is the vocabulary of a mail inside chmail: its envelope, its bytes, what a stranger is told when it is refused,
// and the reading of those bytes. Nothing here rewrites a message. Header fields and MIME parts are found by
// byte offsets, and a change is a list of splices over the original bytes, so everything outside them stays what it was.
// The same package writes the few mails and header fields that are our own: trace fields and the notice.
package message
