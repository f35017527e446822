package relay

import (
	"strconv"
	"strings"

	"chmail/internal/delivery"
)

// capabilities are what a server says that it can do (RFC 5321 4.1.1.1). The zero value is a server that knows HELO only.
type capabilities struct {
	startTLS, pipelining, eightBit, utf8, dsn, requireTLS bool
	sized                                                 bool
	size                                                  int64  // 0: no bound said (RFC 1870 4)
	auth                                                  string // the mechanisms, in upper case, a blank around each
}

// parseCapabilities reads the lines of an answer to EHLO; the first is the server's name.
func parseCapabilities(lines []string) capabilities {
	var c capabilities
	if len(lines) == 0 {
		return c
	}
	for _, line := range lines[1:] {
		// "AUTH=LOGIN" is how servers wrote it before RFC 2554, and some write both.
		word, rest, _ := strings.Cut(strings.Replace(strings.ToUpper(strings.TrimSpace(line)), "AUTH=", "AUTH ", 1), " ")
		switch word {
		case "STARTTLS":
			c.startTLS = true
		case "PIPELINING":
			c.pipelining = true
		case "8BITMIME":
			c.eightBit = true
		case "SMTPUTF8":
			c.utf8 = true
		case "DSN":
			c.dsn = true
		case "REQUIRETLS":
			c.requireTLS = true
		case "SIZE":
			c.sized = true
			if n, err := strconv.ParseInt(strings.TrimSpace(rest), 10, 64); err == nil && n > 0 {
				c.size = n
			}
		case "AUTH":
			c.auth += " " + strings.Join(strings.Fields(rest), " ") + " "
		}
	}
	return c
}

// greeting hears the server's first word. A refusal there is about us or about the server, not about a mail, and often of some hours (a list of blocked addresses, a smarthost that is being
// set up): all that waits is not sent back for it. Only a host that takes no mail at all says so for good (RFC 7504).
func (c *conn) greeting() *delivery.Verdict {
	r, fail := c.hear("the greeting", c.t.Greeting)
	if fail != nil {
		return fail
	}
	if r.code == 220 {
		return nil
	}
	return c.refusesUs(r, "it greets with a refusal: ")
}

// refusesUs is a refusal that came before anything was said of a mail: another server may think otherwise, and this one tomorrow. Only 521 and 556 say that no mail is taken at all
// (RFC 7504).
func (c *conn) refusesUs(r reply, what string) *delivery.Verdict {
	v := c.refused(r)
	if r.is(5) && r.code != 521 && r.code != 556 {
		v.Text = delivery.Line(what + (&delivery.Verdict{Code: v.Code, Enhanced: v.Enhanced, Text: v.Text}).String())
		v.Code, v.Enhanced[0], v.Temporary = 0, 4, true
	}
	return v
}

// hello says EHLO, and HELO to a server that does not know it (RFC 5321 3.2).
func (c *conn) hello(name string) *delivery.Verdict {
	r, fail := c.ask("EHLO "+name, c.t.Hello)
	if fail != nil {
		return fail
	}
	if r.is(2) {
		c.caps = parseCapabilities(r.lines)
		c.peer, _, _ = strings.Cut(r.lines[0], " ")
		return nil
	}
	if !r.is(5) {
		return c.refused(r)
	}
	if r, fail = c.ask("HELO "+name, c.t.Hello); fail != nil {
		return fail
	}
	if !r.is(2) {
		return c.refusesUs(r, "it refuses our HELO: ")
	}
	c.caps = capabilities{}
	return nil
}
