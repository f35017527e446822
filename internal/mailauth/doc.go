// Package mailauth answers who a mail is from. It signs what goes out (DKIM, RFC 6376, with RSA and Ed25519), checks what comes in (DKIM, SPF, ARC and what a
// domain asks for by DMARC), and writes what it found into one Authentication-Results field. Whatever a stranger sends costs a bounded amount of time, memory
// and questions to the DNS.
package mailauth
