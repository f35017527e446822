package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// record compares one record of a zone with what the DNS has; false where that is looked at elsewhere.
func (d *Doctor) record(ctx context.Context, z Zone, r Record) (Finding, bool) {
	name := strings.TrimSuffix(r.Name, ".")
	f := Finding{State: OK, Check: "dns", Subject: name + " " + r.Type, Mend: fmt.Sprintf("put into the zone: %s %s %s", r.Name, r.Type, r.inFile())}
	switch {
	case r.Type == "A" || r.Type == "AAAA":
		return f, false
	case r.Type == "CNAME":
		d.page(ctx, &f, name)
	default:
		there, err := d.lookup(ctx, name, r.Type)
		if err != nil {
			return unasked(f.Subject, err), true
		}
		switch r.Use {
		case useMX:
			d.mx(&f, there)
		case useSPF, useHELO:
			d.spf(ctx, &f, r, there)
		case useDKIM, useIdleKey:
			dkim(&f, r, there)
			if r.Use == useIdleKey && f.State == Fail {
				f.State, f.Text = Warn, f.Text+"; it does not sign now"
			}
		case useDMARC:
			d.dmarc(ctx, &f, z.Domain, there)
		case useSTS:
			sts(&f, r, there)
		case useTLSRPT:
			text(&f, "TLS reports", tagged(there, "v=TLSRPTv1"), "other servers cannot tell that TLS failed")
		default:
			d.service(&f, r, there)
		}
	}
	if f.State == OK {
		f.Mend = ""
	}
	return f, true
}

// mx looks whether mail for the domain comes here.
func (d *Doctor) mx(f *Finding, there []string) {
	f.Text = strings.Join(there, ", ")
	switch {
	case len(there) == 0:
		f.State, f.Text = Fail, "there is none: mail for the domain does not come here"
	case !slices.ContainsFunc(there, d.leadsHere):
		f.State, f.Text = Fail, "mail for the domain goes elsewhere: "+f.Text
	case !allOf(there, d.leadsHere):
		f.State, f.Text = Warn, "mail for the domain may go elsewhere too: "+f.Text
		f.Mend = "take out those that are not this server, unless they pass mail on to it"
	}
}

// leadsHere tells whether an MX or SRV record names this server.
func (d *Doctor) leadsHere(v string) bool { return strings.HasSuffix(v, " "+d.Setup.Host+".") }

// takesNone says of a domain whose mail no port here takes from other hosts where it goes.
func (d *Doctor) takesNone(ctx context.Context, domain string) Finding {
	f := Finding{State: Warn, Check: "dns", Subject: domain + " MX"}
	there, err := d.lookup(ctx, domain, "MX")
	if err != nil {
		return unasked(f.Subject, err)
	}
	comes, at := slices.ContainsFunc(there, d.leadsHere), d.Setup.insideMX()
	switch {
	case at != "" && comes:
		f.Text = fmt.Sprintf("mail for the domain is brought to %s, and %s is on this computer alone (%s): it arrives only where port 25 is passed on to that", d.Setup.Host, mxKey, at)
		f.Mend = "see from outside that it is; or let " + mxKey + " be open to others, for instance :25"
	case at != "":
		f.Text = fmt.Sprintf("mail for the domain does not come here: %s is on this computer alone (%s)", mxKey, at)
		f.Mend = fmt.Sprintf("let it be open to others, for instance :25, or pass port 25 of a public address on to it; then put into the zone: %s. MX 10 %s.", domain, d.Setup.Host)
	case comes:
		f.State, f.Text = Fail, fmt.Sprintf("mail for the domain is brought to %s, and %s opens no port there", d.Setup.Host, mxKey)
		f.Mend = "open one, for instance :25, or let the MX lead to who takes the mail"
	default:
		f.State, f.Text = OK, "none is taken here: "+mxKey+" opens no port"
		if len(there) > 0 {
			f.Text += "; it goes elsewhere: " + strings.Join(there, ", ")
		}
	}
	return f
}

func allOf(values []string, ok func(string) bool) bool {
	return !slices.ContainsFunc(values, func(v string) bool { return !ok(v) })
}

// tagged are the texts that begin with a version, as v=spf1: others may stand beside them.
func tagged(there []string, version string) []string {
	var all []string
	for _, v := range there {
		if rest, ok := cutPrefixFold(v, version); ok && (rest == "" || strings.ContainsAny(rest[:1], " ;\t")) {
			all = append(all, v)
		}
	}
	return all
}

func cutPrefixFold(s, prefix string) (rest string, ok bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

// text judges a record that need only be there, once.
func text(f *Finding, what string, there []string, without string) {
	switch len(there) {
	case 0:
		f.State, f.Text = Warn, "there is none: "+without
	case 1:
		f.Text = there[0]
	default:
		f.State, f.Text = Fail, fmt.Sprintf("%d records for %s, which others take for none", len(there), what)
		f.Mend = "leave one of them"
	}
}

// dkim compares the key that is published with the one that signs.
func dkim(f *Finding, r Record, there []string) {
	f.Text = "the key is there"
	want := tags(r.Value)
	switch {
	case len(there) == 0:
		f.State, f.Text = Fail, "there is none: what is signed with this key cannot be verified"
	case len(there) > 1:
		f.State, f.Text, f.Mend = Fail, "several records at one selector: nobody can tell which holds (RFC 6376 3.6.2.2)", "leave one of them: "+f.Mend
	case tags(there[0])["p"] == "":
		f.State, f.Text = Fail, "it holds no key, or one that was withdrawn"
	case tags(there[0])["p"] != want["p"] || kind(tags(there[0])) != kind(want):
		f.State, f.Text = Fail, "another key than the one that signs here: what it signs does not verify"
	}
}

// Published looks whether the record of a DKIM key is in the DNS as it has to be. An error says what is wrong with it, or that nobody knows (ErrNoAnswer).
func Published(ctx context.Context, r Resolver, name, record string) error {
	there, err := r.Lookup(ctx, name, "TXT")
	if err != nil {
		return err
	}
	f := Finding{State: OK}
	if dkim(&f, Record{Value: record}, there); f.State != OK {
		return errors.New(f.Text)
	}
	return nil
}

// kind is a DKIM key's; RSA where nothing is said.
func kind(t map[string]string) string {
	if t["k"] == "" {
		return "rsa"
	}
	return t["k"]
}

// tags reads a list of tags (RFC 6376 3.2), without white space.
func tags(s string) map[string]string {
	all := make(map[string]string)
	for part := range strings.SplitSeq(s, ";") {
		name, v, _ := strings.Cut(part, "=")
		all[strings.TrimSpace(name)] = strings.Join(strings.Fields(v), "")
	}
	return all
}

// dmarc looks for a policy, at the domain or above it (RFC 9989).
func (d *Doctor) dmarc(ctx context.Context, f *Finding, domain string, there []string) {
	there = tagged(there, "v=DMARC1")
	for above := domain; len(there) == 0; {
		_, rest, ok := strings.Cut(above, ".")
		if !ok || !strings.Contains(rest, ".") {
			break
		}
		above = rest
		values, err := d.lookup(ctx, "_dmarc."+above, "TXT")
		if err != nil {
			break
		}
		if values = tagged(values, "v=DMARC1"); len(values) == 1 {
			f.Text = fmt.Sprintf("that of %s holds: %s", above, values[0])
			return
		}
	}
	text(f, "DMARC", there, "anybody can write mail in the domain's name, and large receivers mistrust it")
	if f.State == OK && tags(there[0])["p"] == "none" {
		f.Text += " (only watched: when the reports show no mail of your own, take quarantine)"
	}
}

// sts looks whether the DNS names the policy that is served.
func sts(f *Finding, r Record, there []string) {
	there = tagged(there, "v=STSv1")
	text(f, "MTA-STS", there, "other servers send without TLS when somebody on the way wants them to")
	if f.State == OK && tags(there[0])["id"] != tags(r.Value)["id"] {
		f.State, f.Text = Warn, "it names another policy than the one that is served: others keep the old one until its time is over"
	}
}

// page looks whether a name leads to the web port, by a CNAME or by addresses of its own.
func (d *Doctor) page(ctx context.Context, f *Finding, name string) {
	there, err := d.addresses(ctx, name)
	right, err2 := d.addresses(ctx, d.Setup.Chat)
	if err != nil || err2 != nil {
		f.State, f.Text = Warn, "it is not known whether it leads to "+d.Setup.Chat
		return
	}
	f.Text = "leads to " + d.Setup.Chat
	if len(there) == 0 {
		f.State, f.Text = Warn, "there is none: "+useOf(name)
	}
	for _, ip := range there {
		if !slices.Contains(right, ip) {
			f.State, f.Text = Warn, fmt.Sprintf("leads to %s, which is not %s: %s", ip, d.Setup.Chat, useOf(name))
		}
	}
}

// useOf is what does not work when one of the names of documents leads nowhere.
func useOf(name string) string {
	if strings.HasPrefix(name, "mta-sts.") {
		return "other servers do not get the MTA-STS policy"
	}
	return "some mail clients do not find their settings by themselves"
}

// service looks at an SRV record: what is offered has to lead here, what is not need only be named by nobody.
func (d *Doctor) service(f *Finding, r Record, there []string) {
	f.Text = strings.Join(there, ", ")
	same := func(v string) bool { return afterWeight(v) == afterWeight(r.Value) }
	switch {
	case r.Value == noService && (len(there) == 0 || allOf(there, same)):
		f.Text = "not offered"
	case r.Value == noService && d.Setup.insideService(r.Name) != "" && allOf(there, d.leadsHere):
		f.Text += ": here it is on this computer alone (" + d.Setup.insideService(r.Name) + "), so it works where that port is passed on to it"
	case r.Value == noService:
		f.State, f.Text = Warn, "it is not offered here, but the DNS names "+f.Text
	case len(there) == 0:
		f.State, f.Text = Warn, "there is none: some mail clients do not find their settings by themselves"
	case !slices.ContainsFunc(there, same):
		f.State, f.Text = Warn, "it leads elsewhere: "+f.Text
	}
}

// afterWeight is what an SRV record leads to: port and target. Priority and weight are the administrator's choice.
func afterWeight(v string) string {
	if parts := strings.Fields(v); len(parts) == 4 {
		return parts[2] + " " + parts[3]
	}
	return v
}
