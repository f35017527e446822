// Package relay takes one mail to another host: one attempt, by an SMTP client of our own (RFC 5321). It decides how, never when; that is the queue's.
//
// Five parts:
//
//   - The dialogue (reply.go, conn.go, hello.go, send.go, data.go, prepare.go): greeting, capabilities, a mail and its verdicts. Every step has its deadline, every reply its bound,
//     and whatever breaks where, each recipient gets a verdict.
//   - Finding hosts (hosts.go, dns.go): MX, null MX, addresses, and what is refused as a destination.
//   - TLS (tls.go, sts.go, policy.go, dane.go): opportunistic, and where MTA-STS, DANE or REQUIRETLS demand it, required and verified.
//   - Smarthosts (smarthost.go): a fixed host with AUTH instead of MX.
//   - Seven bits (downgrade.go): a copy of an 8-bit mail for a host that takes no 8-bit mail.
//
// What is sent are the stored bytes: CRLF line ends only, a dot stuffed after CRLF only, and a message with a bare CR or LF not at all, so that nobody
// smuggles a mail through this server (hazards 1 and 2).
package relay
