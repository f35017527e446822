// Package netutil is the connection layer that smtpd, pop3d and chatd share. A Server counts connections before anything is spent on them,
// keeps a registry and stops in order. A Conn bounds one connection in time and size whatever its peer does, gathers replies into few writes,
// and can change to TLS in place, so that the protocol above sees one and the same connection throughout. A Certificate follows its files.
//
// What a Conn answers for, since a protocol's own code gets it wrong easily: the first error ends the reading for good (what follows a
// timeout is never taken for a command), silence and trickling are both bounded, and plaintext sent behind STARTTLS is an error.
package netutil
