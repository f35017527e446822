package config

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// maxZone is how many octets the name of a list may have: an IPv6 address goes before it, and the whole has to be a name of the DNS (RFC 1035 2.3.4).
const maxZone = 180

// guards checks what stands before port 25.
func (v *validation) guards() {
	c := &v.c.SMTP.MX
	var before []list
	for i, text := range c.DNSBL {
		key := fmt.Sprintf("smtp.mx.dnsbl[%d]", i)
		if !v.fine(key) {
			continue
		}
		l, ok := parseList(text)
		switch {
		case !ok:
			v.add(key, "write a list such as zen.spamhaus.org, or zen.spamhaus.org=2-11 where only answers from 127.0.0.2 to 127.0.0.11 count", "cannot be %s", v.show(key, text))
			continue
		case slices.ContainsFunc(before, l.overlaps):
			v.add(key, "take one away", "%s is there already", v.show(key, text))
			continue
		}
		before, c.DNSBL[i] = append(before, l), l.String()
	}
	v.rspamd()
}

// rspamd checks where mail from outside is looked at. Its URL is not shown where a password may stand in it.
func (v *validation) rspamd() {
	const section, key, example = "smtp.mx.rspamd", "smtp.mx.rspamd.url", "http://127.0.0.1:11333"
	c := &v.c.SMTP.MX.Rspamd
	if c.URL == "" {
		if _, there := v.at[section]; there || c.Required || c.Password != "" { // somebody means to have one, and nothing would be asked
			v.given(key, "", "url: "+example)
		}
		return
	}
	if !v.fine(key) {
		return
	}
	shown := v.show(key, c.URL)
	if strings.Contains(c.URL, "@") {
		shown = "the URL that it is"
	}
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || !isPort(u.Port()):
		v.add(key, "write for instance "+example, "cannot be %s: that is no URL of http or https with a host", shown)
	case u.User != nil:
		v.add(key, "write for instance "+example+", and the password that rspamd wants in "+section+".password", "cannot be %s: there may be nothing beside scheme, host and port", shown)
	case u.Path != "" && u.Path != "/", u.RawQuery != "" || u.ForceQuery, u.Fragment != "":
		v.add(key, "write for instance "+example+"; what is asked for there the server adds by itself", "cannot be %s: there may be nothing beside scheme, host and port", shown)
	default:
		c.URL = (&url.URL{Scheme: u.Scheme, Host: u.Host}).String()
	}
}

// isPort tells whether the port of a URL is one, or none is named.
func isPort(port string) bool {
	n, err := strconv.Atoi(port)
	return port == "" || err == nil && n >= 1 && n <= 65535
}

// list is one of the DNS that an administrator trusts: its name, and which answers count, by the last part of 127.0.0.2.
type list struct {
	name        string
	least, most uint64 // 0, 0: every one
}

// parseList reads "zen.spamhaus.org", "zen.spamhaus.org=2" or "zen.spamhaus.org=2-11". What it takes, the server has to be able to start with.
func parseList(text string) (l list, ok bool) {
	zone, codes, some := strings.Cut(text, "=")
	name, err := hostName(zone)
	if err != nil || !strings.Contains(name, ".") || len(name) > maxZone {
		return list{}, false
	}
	l.name = name
	if !some {
		return l, true
	}
	first, last, span := strings.Cut(codes, "-")
	if !span {
		last = first
	}
	var errFirst, errLast error
	l.least, errFirst = strconv.ParseUint(first, 10, 8)
	l.most, errLast = strconv.ParseUint(last, 10, 8)
	return l, errFirst == nil && errLast == nil && l.least > 0 && l.least <= l.most
}

// overlaps tells whether two are the same list, and share an answer that counts: it would be asked twice for the same.
func (l list) overlaps(o list) bool {
	return l.name == o.name && (l.least == 0 || o.least == 0 || l.least <= o.most && o.least <= l.most)
}

// String is the form of the file.
func (l list) String() string {
	switch {
	case l.least == 0:
		return l.name
	case l.least == l.most:
		return fmt.Sprintf("%s=%d", l.name, l.least)
	}
	return fmt.Sprintf("%s=%d-%d", l.name, l.least, l.most)
}
