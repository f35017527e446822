package config

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// answers are those of a list that count: the last part of 127.0.0.2, or from one to another.
var answers = regexp.MustCompile(`^[1-9][0-9]{0,2}(-[1-9][0-9]{0,2})?$`)

// guards checks what stands before port 25.
func (v *validation) guards() {
	c := &v.c.SMTP.MX
	for i, text := range c.DNSBL {
		key := fmt.Sprintf("smtp.mx.dnsbl[%d]", i)
		if !v.fine(key) {
			continue
		}
		zone, codes, some := strings.Cut(text, "=")
		name, err := hostName(zone)
		if err != nil || !strings.Contains(name, ".") || some && !answers.MatchString(codes) {
			v.add(key, "write a list such as zen.spamhaus.org, or zen.spamhaus.org=2-11 where only answers from 127.0.0.2 to 127.0.0.11 count", "cannot be %s", v.show(key, text))
			continue
		}
		c.DNSBL[i] = name
		if some {
			c.DNSBL[i] += "=" + codes
		}
	}
	if u := c.Rspamd.URL; v.fine("smtp.mx.rspamd.url") && u != "" {
		parsed, err := url.Parse(u)
		if err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Host == "" || parsed.RawQuery != "" || parsed.User != nil {
			v.add("smtp.mx.rspamd.url", "write for instance http://127.0.0.1:11333", "cannot be %s", v.show("smtp.mx.rspamd.url", u))
		}
	}
}
