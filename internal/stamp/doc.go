// Package stamp decides what the chat adds to a mail: the CH header fields (R4) and, where it can be put in without harm, the chat
// line in the text and the button in the HTML (R5). It is pure: Plan reads the message and answers with splices over its bytes and a verdict; whatever
// it is not certain about, it leaves alone. Nothing here parses and rewrites, so all other bytes of a mail stay what they were.
package stamp
