// Package webpush sends a few words to a browser whose page is closed: it encrypts them for that browser alone (RFC 8291), signs for this server (VAPID, RFC 8292) and
// hands them to the push service that the browser has named (RFC 8030). That service's address comes from a stranger, so it is dialled with care: public
// addresses on port 443 only, no redirects, ten seconds.
package webpush
