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
	if u := c.Rspamd.URL; v.fine("smtp.mx.rspamd.url") && u != "" {
		parsed, err := url.Parse(u)
		if err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Host == "" || parsed.RawQuery != "" || parsed.User != nil {
			v.add("smtp.mx.rspamd.url", "write for instance http://127.0.0.1:11333", "cannot be %s", v.show("smtp.mx.rspamd.url", u))
		}
	}
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
