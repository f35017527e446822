// Package acme gets the server's certificates from an authority, keeps them in the database, and renews them while the server runs (ACME, RFC 8555). The protocol is
// certmagic's; here is what a mail server needs around it: a certificate for each name, so that one name without a DNS record keeps nobody else from his; what the ports
// show while there is none; which of them takes part in proving a name (TLS-ALPN-01, RFC 8737, or HTTP-01, RFC 8555 8.3); and what is told of it.
package acme
