// Package autoconfig writes the documents by which others find out how a domain's mail is reached, so that nobody types host names and port numbers: for mail
// clients the autoconfig file of Thunderbird and its kin, the autodiscover answer of Outlook and the configuration profile of Apple; for other mail servers the
// MTA-STS policy (RFC 8461). It is pure: what it says follows from a Domain alone, so that the same configuration gives the same octets each time.
//
// POP3 stands before everything else: it is how mail is fetched here.
package autoconfig

import "slices"

// A Domain is one mail domain and how its mail is reached. Names are canonical: lower-case A-labels without a final dot.
type Domain struct {
	Name string // the part of its addresses behind the @
	Host string // of the mail server, which its certificate stands for and the domain's MX names
	POP3 []Port // in the order of preference
	SMTP []Port // of submission, in the order of preference
	STS  string // mode of its MTA-STS policy: STSEnforce, STSTesting or STSNone
}

// A Port is where a server listens.
type Port struct {
	Number int
	TLS    bool // from the first octet on (RFC 8314 3); else by STARTTLS or STLS, without which nobody signs in
}

// Ports are the given numbers, each once: those in TLS from the first octet on first, as RFC 8314 3 prefers, and among them what everybody
// else uses first.
func Ports(tls, starttls []int, usual ...int) []Port {
	var all []Port
	for _, kind := range []struct {
		numbers []int
		tls     bool
	}{{tls, true}, {starttls, false}} {
		numbers := slices.Clone(kind.numbers)
		slices.SortStableFunc(numbers, func(a, b int) int { return rank(usual, a) - rank(usual, b) })
		for _, n := range numbers {
			if p := (Port{n, kind.tls}); !slices.Contains(all, p) {
				all = append(all, p)
			}
		}
	}
	return all
}

func rank(usual []int, n int) int {
	if slices.Contains(usual, n) {
		return 0
	}
	return 1
}
