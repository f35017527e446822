package config

import (
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"chmail/internal/address"
)

// maxSocketPath is what a unix socket's path may have, in octets (sun_path with its NUL).
const maxSocketPath = 107

// validate checks everything and brings values into canonical form. dir is what relative paths are relative to.
func (c *Config) validate(f *faults, dir string) {
	v := &validation{faults: f, c: c, dir: dir}
	v.names()
	v.folder()
	v.chat()
	v.listeners()
	v.redis()
	v.numbers()
	v.words()
	v.stampTo()
	v.relay()
	v.certificate()
	if c.Database != (Database{}) || v.at["database"] != (place{}) {
		v.add("database.url", "take the section away", "is for a later version: this one keeps everything in SQLite, in the folder that `data` names")
	}
}

type validation struct {
	*faults
	c   *Config
	dir string
	web *url.URL // chat.url, when it is usable
}

// given notes that a key is missing, unless it is there with a fault of its own.
func (v *validation) given(key, value, example string) bool {
	if value == "" && v.fine(key) {
		v.add(key, "add for instance `"+example+"`", "is missing")
	}
	return value != "" && v.fine(key)
}

// why is an error's text where it may be shown: it may repeat the value.
func (v *validation) why(key string, err error) string {
	if v.hidden(key) {
		return ""
	}
	return ": " + strings.TrimPrefix(err.Error(), address.ErrSyntax.Error()+": ")
}

func (v *validation) names() {
	c := v.c
	if v.given("hostname", c.Hostname, "hostname: mail.example.com") {
		name, err := hostName(c.Hostname)
		if err != nil {
			v.add("hostname", "write a host name such as mail.example.com", "cannot be %s%s", v.show("hostname", c.Hostname), v.why("hostname", err))
		} else {
			c.Hostname = name
		}
	}
	if len(c.Domains) == 0 && v.fine("domains") {
		v.add("domains", "add for instance `domains: [example.com]`", "names no domain")
	}
	v.domains("domains", c.Domains)
	v.domains("smtp.mx.trust_arc", c.SMTP.MX.TrustARC)
	v.guards()
	v.postmaster()
}

// domains brings a list of domains into canonical form.
func (v *validation) domains(list string, all []string) {
	for i, d := range all {
		key := fmt.Sprintf("%s[%d]", list, i)
		if !v.fine(key) {
			continue
		}
		name, err := hostName(d)
		switch {
		case err != nil:
			v.add(key, "write a domain such as example.com", "cannot be %s%s", v.show(key, d), v.why(key, err))
		case slices.Contains(all[:i], name):
			v.add(key, "take one away", "%s is there already", v.show(key, d))
		default:
			all[i] = name
		}
	}
}

func (v *validation) postmaster() {
	if v.c.Postmaster == "" || !v.fine("postmaster") || !v.fine("domains") {
		return
	}
	a, err := address.Parse(v.c.Postmaster)
	switch {
	case err != nil:
		v.add("postmaster", "write a full mail address such as alice@example.com", "cannot be %s%s", v.show("postmaster", v.c.Postmaster), v.why("postmaster", err))
	case !slices.Contains(v.c.Domains, a.Domain):
		v.add("postmaster", "name an account of one of the `domains`", "cannot be %s: its domain is not served here", v.show("postmaster", v.c.Postmaster))
	default:
		v.c.Postmaster = a.Login()
	}
}

// hostName is a domain that is a name, in canonical form.
func hostName(s string) (string, error) {
	if _, err := netip.ParseAddr(s); err == nil || strings.HasPrefix(s, "[") {
		return "", fmt.Errorf("an address is no name")
	}
	if strings.Contains(s, "_") { // mail domains may, by what is seen; hosts may not (RFC 1123 2.1), and no certificate would be given for one
		return "", fmt.Errorf("a host's name has no underscore")
	}
	return address.ParseDomain(s)
}

func (v *validation) folder() {
	c := v.c
	if !v.given("data", c.Data, "data: /var/lib/chmail") {
		return
	}
	c.Data = v.absolute(c.Data)
	if info, err := os.Stat(c.Data); err == nil && !info.IsDir() {
		v.add("data", "name a folder; it is made where it is missing", "cannot be %s: that is a file", v.path("data", c.Data))
		return
	}
	if n := len(c.ControlSocket()); n > maxSocketPath {
		v.add("data", "choose a shorter one", "is too long a path: the control socket in it would have %d octets, and %d is the most", n, maxSocketPath)
	}
}

// absolute is a path from the root on.
func (v *validation) absolute(p string) string {
	if !filepath.IsAbs(p) {
		p = filepath.Join(v.dir, p)
	}
	abs, err := filepath.Abs(p)
	if err != nil {
		return p // the working folder is gone; what is opened there will say so
	}
	return abs
}

func (v *validation) chat() {
	c := &v.c.Chat
	if v.given("chat.url", c.URL, "chat: {url: https://chat.example.com}") {
		v.chatURL()
	}
	if len(c.Listen) == 0 && v.fine("chat.listen") {
		v.add("chat.listen", "write for instance [\":443\"]", "names no address: without pages there is no chat")
	}
	if !v.fine("chat.ports") {
		return
	}
	const instead = "choose a range between 20000 and 29999, such as 24000-24999"
	switch p := c.Ports; {
	case p.First < 1024:
		v.add("chat.ports", instead, "cannot be %s: ports below 1024 belong to the system", v.show("chat.ports", p.String()))
	case p.First < ephemeralEnd && p.Last >= ephemeralBegin:
		v.add("chat.ports", instead, "cannot be %s: it reaches into %d-%d, which the system hands out to outgoing connections", v.show("chat.ports", p.String()), ephemeralBegin, ephemeralEnd-1)
	default:
		for _, b := range blockedPorts {
			if b >= p.First && b <= p.Last {
				v.add("chat.ports", instead, "cannot be %s: browsers refuse to connect to port %d", v.show("chat.ports", p.String()), b)
				break
			}
		}
	}
}

func (v *validation) chatURL() {
	const key, right = "chat.url", "write for instance https://chat.example.com"
	shown := v.show(key, v.c.Chat.URL)
	u, err := url.Parse(v.c.Chat.URL)
	if strings.Contains(v.c.Chat.URL, "@") {
		shown = "the URL that it is" // a password may stand in it
	}
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		v.add(key, right, "cannot be %s: that is no URL with a host", shown)
		return
	case u.User != nil, u.Path != "" && u.Path != "/", u.RawQuery != "" || u.ForceQuery, u.Fragment != "":
		v.add(key, right, "cannot be %s: there may be nothing beside scheme, host and port", shown)
		return
	case u.Scheme != "https" && u.Scheme != "http":
		v.add(key, right, "cannot be %s: pages are served by https", shown)
		return
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		v.add(key, "use https; http is for localhost only", "cannot be %s: without TLS everybody on the way could read the chats", shown)
		return
	}
	host := u.Hostname()
	if _, err := netip.ParseAddr(host); err != nil {
		if host, err = hostName(host); err != nil {
			v.add(key, right, "cannot be %s: its host is no name", shown)
			return
		}
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if p := u.Port(); p != "" || strings.HasSuffix(u.Host, ":") {
		n, err := strconv.Atoi(p)
		if err != nil || n < 1 || n > 65535 {
			v.add(key, right, "cannot be %s: its port is none", shown)
			return
		}
		if slices.Contains(blockedPorts[:], n) {
			v.add(key, "choose another port, best none at all", "cannot be %s: browsers refuse to connect to port %d", shown, n)
			return
		}
		if usual := map[string]int{"https": 443, "http": 80}[u.Scheme]; n != usual {
			host += ":" + strconv.Itoa(n)
		}
	}
	v.web = &url.URL{Scheme: u.Scheme, Host: host}
	v.c.Chat.URL = v.web.String()
}

// isLoopback tells whether a host of a URL or of a listener is this computer.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// redis checks the URL without ever showing it: it may hold a password.
func (v *validation) redis() {
	const key = "redis.url"
	if !v.fine(key) || v.c.Redis.URL == "" {
		if v.at[key] != (place{}) && v.fine(key) {
			v.add(key, "take the section away to keep presence in memory", "is empty")
		}
		return
	}
	u, err := url.Parse(v.c.Redis.URL)
	bad := err != nil
	if !bad {
		db := strings.Trim(u.Path, "/")
		n, err := strconv.Atoi(db)
		switch u.Scheme {
		case "redis", "rediss":
			bad = u.Hostname() == "" || db != "" && (err != nil || n < 0)
		case "unix":
			bad = u.Path == ""
		default:
			bad = true
		}
		if !bad { // its client has options of its own behind a ?, and refuses to start with one that it does not know
			_, err = redis.ParseURL(v.c.Redis.URL)
			bad = err != nil
		}
	}
	if bad {
		v.add(key, "write for instance redis://127.0.0.1:6379/0, or rediss:// for TLS; special characters of a password as %XX", "is no Redis URL")
	}
}

func (v *validation) numbers() {
	c := v.c
	t := c.Chat.Times
	for _, n := range []struct {
		key         string
		is          int64
		least, most int64
	}{
		{"smtp.max_recipients", int64(c.SMTP.MaxRecipients), 1, 10_000}, {"smtp.connections", int64(c.SMTP.Connections), 1, 1_000_000},
		{"smtp.per_network", int64(c.SMTP.PerNetwork), 1, 1_000_000}, {"smtp.mx.per_minute", int64(c.SMTP.MX.PerMinute), 0, 1_000_000}, {"pop3.connections", int64(c.POP3.Connections), 1, 1_000_000},
		{"pop3.per_network", int64(c.POP3.PerNetwork), 1, 1_000_000}, {"chat.connections", int64(c.Chat.Connections), 1, 1_000_000},
		{"chat.per_network", int64(c.Chat.PerNetwork), 1, 1_000_000}, {"chat.rings", int64(c.Chat.Rings), 1, 20},
		{"relay.connections", int64(c.Relay.Connections), 1, 10_000}, {"relay.per_destination", int64(c.Relay.PerDestination), 1, 1000},
		{"relay.port", int64(c.Relay.Port), 1, 65535}, {"relay.policy_port", int64(c.Relay.PolicyPort), 1, 65535}, {"relay.per_day", int64(c.Relay.PerDay), 0, 1_000_000}, {"relay.new_per_day", int64(c.Relay.NewPerDay), 0, 1_000_000}, {"chat.limits.link", int64(c.Chat.Limits.Link), 1, 1000}, {"chat.limits.network", int64(c.Chat.Limits.Network), 1, 1000},
	} {
		if v.fine(n.key) && (n.is < n.least || n.is > n.most) {
			v.add(n.key, fmt.Sprintf("choose a number from %d to %d", n.least, n.most), "cannot be %s", v.show(n.key, strconv.FormatInt(n.is, 10)))
		}
	}
	for _, d := range []struct {
		key         string
		is          time.Duration
		least, most time.Duration
	}{
		{"smtp.idle", c.SMTP.Idle, time.Second, time.Hour}, {"smtp.mx.rspamd.within", c.SMTP.MX.Rspamd.Within, time.Second, 5 * time.Minute}, {"pop3.idle", c.POP3.Idle, time.Second, time.Hour},
		{"relay.life", c.Relay.Life, time.Hour, 30 * day}, {"relay.late", c.Relay.Late, time.Minute, 30 * day}, {"chat.link_life", c.Chat.LinkLife, time.Hour, 3650 * day}, {"chat.keep", c.Chat.Keep, 0, 36500 * day}, {"chat.port_idle", c.Chat.PortIdle, time.Second, 24 * time.Hour},
		{"chat.ring", c.Chat.Ring, time.Second, 10 * time.Minute}, {"chat.pause", c.Chat.Pause, time.Second, time.Hour},
		{"chat.times.page_age", t.PageAge, 100 * time.Millisecond, time.Minute}, {"chat.times.ack", t.Ack, time.Second, time.Minute},
		{"chat.times.verify", t.Verify, 100 * time.Millisecond, time.Minute}, {"chat.times.grace", t.Grace, time.Second, 10 * time.Minute},
		{"chat.times.again", t.Again, time.Second, time.Hour}, {"chat.times.merge", t.Merge, time.Second, day}, {"chat.times.words", t.Words, 0, 10 * time.Minute},
		{"chat.times.mail_sign", t.MailSign, time.Minute, day}, {"chat.times.desk_sign", t.DeskSign, time.Minute, time.Hour},
		{"chat.times.active", t.Active, time.Second, time.Hour}, {"chat.times.moment", t.Moment, 5 * time.Second, time.Hour}, {"chat.times.lease", t.Lease, time.Hour, 3650 * day}, {"chat.times.transcript", t.Transcript, 0, 30 * day},
		{"chat.limits.link_time", c.Chat.Limits.LinkTime, time.Second, 7 * day}, {"chat.limits.network_time", c.Chat.Limits.NetworkTime, time.Second, 7 * day},
	} {
		if v.fine(d.key) && (d.is < d.least || d.is > d.most) {
			v.add(d.key, fmt.Sprintf("choose from %s to %s", formatDuration(d.least), formatDuration(d.most)), "cannot be %s", v.written(d.key, formatDuration(d.is)))
		}
	}
	if v.fine("chat.keep") && c.Chat.Keep%day != 0 { // it is told in days
		v.add("chat.keep", "choose whole days such as 90d, or 0s for ever", "cannot be %s", v.written("chat.keep", formatDuration(c.Chat.Keep)))
	}
	for _, f := range []struct {
		key         string
		is          Size
		least, most Size
		may         string
	}{
		{"chat.files.max", c.Chat.Files.Max, 0, 256 << 20, "choose at most 256MiB, or 0 for no files"},
		{"chat.files.conversation", c.Chat.Files.Conversation, 1 << 20, 1 << 40, "choose from 1MiB to 1024GiB"},
		{"chat.files.login", c.Chat.Files.Login, 1 << 20, 1 << 40, "choose from 1MiB to 1024GiB"},
		{"chat.files.attach", c.Chat.Files.Attach, 0, 256 << 20, "choose at most 256MiB, or 0 to attach none"},
		{"pop3.quota", c.POP3.Quota, 0, 1 << 50, "choose from 1MiB to 1048576GiB, or 0 for none"},
	} {
		if v.fine(f.key) && (f.is < f.least || f.is > f.most) {
			v.add(f.key, f.may, "cannot be %s", v.written(f.key, f.is.String()))
		}
	}
	if v.fine("pop3.quota") && c.POP3.Quota > 0 && c.POP3.Quota < 1<<20 {
		v.add("pop3.quota", "choose from 1MiB to 1048576GiB, or 0 for none", "cannot be %s", v.written("pop3.quota", c.POP3.Quota.String()))
	}
	if v.fine("smtp.max_message") && (c.SMTP.MaxMessage < 64<<10 || c.SMTP.MaxMessage > 1<<30) { // RFC 5321 4.5.3.1.7: at least 64K
		v.add("smtp.max_message", "choose from 64KiB to 1GiB", "cannot be %s", v.written("smtp.max_message", c.SMTP.MaxMessage.String()))
	}
}

func (v *validation) words() {
	if tag := v.c.SMTP.MX.Tag; v.fine("smtp.mx.subject_tag") && (len(tag) > 40 || strings.ContainsFunc(tag, func(r rune) bool { return r < ' ' || r > '~' })) {
		v.add("smtp.mx.subject_tag", "choose at most 40 letters, digits and signs of ASCII, such as [suspect]", "cannot be %s", v.show("smtp.mx.subject_tag", tag))
	}
	for _, w := range []struct {
		key, is string
		may     []string
	}{
		{"smtp.mx.mta_sts", v.c.SMTP.MX.MTASTS, []string{STSEnforce, STSTesting, STSNone}},
		{"smtp.mx.own_domains", v.c.SMTP.MX.Own, []string{OwnMark, OwnRefuse, OwnAccept}},
		{"smtp.scram", v.c.SMTP.SCRAM, []string{SCRAMAsked, SCRAMAlways, SCRAMOff}},
		{"smtp.submission.bare_lf", v.c.SMTP.Submission.BareLF, []string{Refuse, Normalise}},
		{"chat.stamp", v.c.Chat.Stamp, []string{StampOn, StampHeader, StampOff}},
		{"log.level", v.c.Log.Level, []string{"debug", "info", "warn", "error"}},
		{"log.format", v.c.Log.Format, []string{"text", "json"}},
	} {
		if v.fine(w.key) && !slices.Contains(w.may, w.is) {
			v.add(w.key, "choose one of "+strings.Join(w.may, ", "), "cannot be %s", v.show(w.key, w.is))
		}
	}
}

// stampTo checks the exceptions by domain and brings the domains into canonical form.
func (v *validation) stampTo() {
	domains := make(map[string]string, len(v.c.Chat.StampTo))
	for _, d := range slices.Sorted(maps.Keys(v.c.Chat.StampTo)) {
		key, how := "chat.stamp_to["+d+"]", v.c.Chat.StampTo[d]
		if !v.fine(key) {
			continue
		}
		name, err := hostName(d)
		_, twice := domains[name]
		switch {
		case err != nil:
			v.add(key, "write a domain such as example.org", "is for no domain%s", v.why(key, err))
		case twice:
			v.add(key, "take one away", "is for a domain that is there already")
		case !slices.Contains([]string{StampOn, StampHeader, StampOff}, how):
			v.add(key, "choose one of "+strings.Join([]string{StampOn, StampHeader, StampOff}, ", "), "cannot be %s", v.show(key, how))
		default:
			domains[name] = how
		}
	}
	if len(domains) > 0 {
		v.c.Chat.StampTo = domains
	}
}
