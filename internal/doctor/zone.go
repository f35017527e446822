package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"chmail/internal/autoconfig"
)

// zoneTTL is how long others may keep a record, in seconds: an hour, so that a mistake does not stay.
const zoneTTL = 3600

// A Record is one of the DNS.
type Record struct {
	Name string `json:"name"` // absolute, with its final dot
	TTL  int    `json:"ttl"`  // seconds
	Type string `json:"type"`
	// Value is as a zone file has it, but of TXT the whole text, as the forms of DNS providers want it: without quotes, not split.
	Value string `json:"value"`
	Use   string `json:"use"` // what it is for, in a few words
}

// A Zone is what the DNS has to hold for one domain.
type Zone struct {
	Domain  string   `json:"domain"`
	Records []Record `json:"records"`
	Notes   []string `json:"notes"` // what cannot be said in records, a sentence each
}

// What records are for; the doctor finds them by it too.
const (
	useMX      = "mail for the domain comes here (RFC 5321 5.1)"
	useHost    = "this server; its address has to lead back to this name, which whoever has given you the address sets"
	useChat    = "the pages"
	useSPF     = "who sends mail of the domain (RFC 7208)"
	useHELO    = "who calls himself so (RFC 7208 2.3)"
	useDKIM    = "the key by which its mail is signed (RFC 6376)"
	useIdleKey = "a key that does not sign now: published before it does, and until nothing that it has signed is on its way (RFC 6376)"
	useDMARC   = "what becomes of mail that only pretends to be from the domain (RFC 9989)"
	useSTS     = "other servers insist on TLS (RFC 8461)"
	useTLSRPT  = "where they report that it failed (RFC 8460)"
	useClients = "mail clients find their settings"
	useSRV     = "the same for clients that ask the DNS (RFC 6186, RFC 8314)"
)

// Zone is what the DNS has to hold for a domain, the most needed first.
func (s Setup) Zone(d autoconfig.Domain, keys []Key) Zone {
	z := Zone{Domain: d.Name, Records: []Record{}, Notes: []string{}}
	if len(s.MX) > 0 {
		z.add(d.Name, "MX", "10 "+s.Host+".", useMX)
	} else if at := s.insideMX(); at != "" {
		z.note("Mail for %[1]s does not come here, and no MX is printed: %[2]s is on this computer alone (%[3]s). If port 25 of a public address is passed on to it, add: %[1]s. MX 10 %[4]s.", d.Name, mxKey, at, s.Host)
	} else {
		z.note("Mail for %s does not come here, and no MX is printed: %s opens no port.", d.Name, mxKey)
	}
	s.addHosts(&z)
	sends := "mx"
	if len(s.MX) == 0 { // it sends, whoever it is that mail is brought to
		sends = "a:" + s.Host
	}
	z.add(d.Name, "TXT", "v=spf1 "+sends+" ~all", useSPF)
	signs := false
	for _, k := range keys {
		use := useDKIM
		if k.Idle {
			use = useIdleKey
		}
		signs = signs || !k.Idle
		z.add(k.Selector+"._domainkey."+d.Name, "TXT", k.Record, use)
	}
	// A domain whose people write to mailing lists does better without reject (RFC 9989), and without signatures even quarantine would hit its own mail.
	policy := "quarantine"
	if !signs {
		policy = "none"
		z.note("No DKIM key of %[1]s signs yet. Make one, chmail dkim new %[1]s, and print the zone again.", d.Name)
	}
	z.add("_dmarc."+d.Name, "TXT", "v=DMARC1; p="+policy+"; rua=mailto:postmaster@"+d.Name, useDMARC)
	s.addSTS(&z, d)
	s.addClients(&z, d)
	return z
}

// addHosts adds the server's own names, where they lie in the domain.
func (s Setup) addHosts(z *Zone) {
	type host struct{ name, use string }
	hosts := []host{{s.Host, useHost}}
	if s.Chat != s.Host && isName(s.Chat) {
		hosts = append(hosts, host{s.Chat, useChat})
	}
	for _, h := range hosts {
		if !under(h.name, z.Domain) {
			continue
		}
		for _, a := range s.Addresses {
			kind := "A"
			if a.Is6() {
				kind = "AAAA"
			}
			z.add(h.name, kind, a.String(), h.use)
		}
		if len(s.Addresses) == 0 {
			z.note("%s needs address records, A and AAAA. No interface here has a public address: name this server's with --address.", h.name)
		}
	}
	if under(s.Host, z.Domain) && s.Host != z.Domain {
		z.add(s.Host, "TXT", "v=spf1 a -all", useHELO)
	}
}

// addSTS adds what makes TLS between servers binding, and the reports on it. Where mail comes only by a port that somebody passes on, it is for him to add.
func (s Setup) addSTS(z *Zone, d autoconfig.Domain) {
	if len(s.MX) == 0 && s.insideMX() == "" {
		return
	}
	if len(s.MX) > 0 && !slices.Contains(s.MX, 25) {
		z.note("Other servers bring mail to port 25 only. This one listens on %d: pass port 25 on to it.", s.MX[0])
	}
	var sts Zone
	if isName(s.Chat) {
		sts.add("_mta-sts."+d.Name, "TXT", "v=STSv1; id="+d.STSID(), useSTS)
		s.addPage(&sts, "mta-sts."+d.Name, useSTS)
		if s.Web != 443 {
			z.note("Mail clients and servers look for their documents on port 443 of the hosts that lead to %s. The pages are on %d: pass port 443 on to it.", s.Chat, s.Web)
		}
	}
	sts.add("_smtp._tls."+d.Name, "TXT", "v=TLSRPTv1; rua=mailto:postmaster@"+d.Name, useTLSRPT)
	if len(s.MX) > 0 {
		z.Records = append(z.Records, sts.Records...)
		return
	}
	lines := make([]string, len(sts.Records))
	for i, r := range sts.Records {
		lines[i] = r.Name + " " + r.Type + " " + r.inFile()
	}
	z.note("No record of MTA-STS or TLSRPT is printed for %s either. With the MX add: %s.", d.Name, strings.Join(lines, "; "))
}

// addPage adds a name that leads to the web port, unless it is the server's own, which has addresses and can have no CNAME beside them (RFC 1034 3.6.2).
func (s Setup) addPage(z *Zone, name, use string) {
	if name != s.Chat && name != s.Host {
		z.add(name, "CNAME", s.Chat+".", use)
	}
}

// addClients adds what mail clients look for. That there is no IMAP is said too, so that they need not try.
func (s Setup) addClients(z *Zone, d autoconfig.Domain) {
	if isName(s.Chat) {
		s.addPage(z, "autoconfig."+d.Name, useClients)
		s.addPage(z, "autodiscover."+d.Name, useClients)
		z.add("_autodiscover._tcp."+d.Name, "SRV", fmt.Sprintf("0 1 %d %s.", s.Web, s.Chat), useClients)
	}
	for _, c := range []struct {
		name     string
		ports    []autoconfig.Port
		tls      bool
		priority int // TLS from the first octet on is preferred (RFC 8314 5.1)
	}{
		{"_pop3s", d.POP3, true, 0}, {"_pop3", d.POP3, false, 10}, {"_submissions", d.SMTP, true, 0}, {"_submission", d.SMTP, false, 10},
	} {
		found := false
		for _, p := range c.ports {
			if p.TLS == c.tls && !found {
				z.add(c.name+"._tcp."+d.Name, "SRV", fmt.Sprintf("%d 1 %d %s.", c.priority, p.Number, s.Host), useSRV)
				found = true
			}
		}
		if !found {
			z.add(c.name+"._tcp."+d.Name, "SRV", noService, useSRV)
			if at := s.insideService(c.name + "._tcp."); at != "" {
				z.note("%s is said not to be offered: it is on this computer alone (%s). If a port of a public address is passed on to it, write: %s._tcp.%s. SRV %d 1 PORT %s.", c.name, at, c.name, d.Name, c.priority, s.Host)
			}
		}
	}
	z.add("_imaps._tcp."+d.Name, "SRV", noService, useSRV)
	z.add("_imap._tcp."+d.Name, "SRV", noService, useSRV)
}

// noService is what an SRV record of something that is not offered says (RFC 2782).
const noService = "0 0 0 ."

func (z *Zone) add(name, kind, value, use string) {
	z.Records = append(z.Records, Record{Name: name + ".", TTL: zoneTTL, Type: kind, Value: value, Use: use})
}

func (z *Zone) note(text string, args ...any) { z.Notes = append(z.Notes, fmt.Sprintf(text, args...)) }

// String is the zone as a zone file has it (RFC 1035 5): absolute names, so that it can stand in the zone of any domain above.
func (z Zone) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "; %s\n", z.Domain)
	for _, n := range z.Notes {
		fmt.Fprintf(&b, "; NOTE: %s\n", n)
	}
	width, use := 0, ""
	for _, r := range z.Records {
		width = max(width, len(r.Name))
	}
	for _, r := range z.Records {
		if r.Use != use {
			use = r.Use
			fmt.Fprintf(&b, "; %s\n", use)
		}
		fmt.Fprintf(&b, "%-*s %d IN %-5s %s\n", width, r.Name, r.TTL, r.Type, r.inFile())
	}
	return b.String()
}

// inFile is the value as a zone file has it.
func (r Record) inFile() string {
	if r.Type != "TXT" {
		return r.Value
	}
	return quoted(r.Value)
}

// maxString is how many octets one string of a TXT record may have (RFC 1035 3.3.14); a longer text is several, which are read without anything between them.
const maxString = 255

// quoted is a text as one or several strings in quotes.
func quoted(text string) string {
	var all []string
	for len(text) > maxString {
		all, text = append(all, text[:maxString]), text[maxString:]
	}
	all = append(all, text)
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	for i, s := range all {
		all[i] = `"` + escape.Replace(s) + `"`
	}
	return strings.Join(all, " ")
}

// under tells whether a name is a domain or lies in it.
func under(name, domain string) bool { return name == domain || strings.HasSuffix(name, "."+domain) }

// isName tells whether a host is a name that can stand in the DNS: no address, and not this computer alone.
func isName(host string) bool {
	_, err := netip.ParseAddr(host)
	return err != nil && host != "" && host != "localhost"
}
