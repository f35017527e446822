package autoconfig

import (
	"bytes"
	"crypto/sha1"
	"encoding/xml"
	"fmt"
	"strconv"
	"strings"

	"chmail/internal/address"
)

// ApplePath is where the profile lies on the host autoconfig.DOMAIN. Apple's devices look nowhere by themselves: its address is told to people. With
// ?address=… it is made out for one of them.
const ApplePath = "/mail/apple.mobileconfig"

const plistType = `<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">` + "\n"

// Apple is a configuration profile with one POP account (Apple's Configuration Profile Reference, com.apple.mail.managed),
// application/x-apple-aspen-config. The zero address leaves it to the device to ask for one. The same domain and address have the same UUIDs each time, so that a profile that is
// installed again takes the place of the first. Its second value is false where there are no ports to fetch and send mail by.
func (d Domain) Apple(a address.Address) ([]byte, bool) {
	if len(d.POP3) == 0 || len(d.SMTP) == 0 {
		return nil, false
	}
	in, out := d.POP3[0], d.SMTP[0]
	id := "mail." + backwards(d.Name)
	label := d.Name
	var who []entry
	if !a.IsZero() {
		label = a.String()
		who = []entry{{"EmailAddress", label}, {"IncomingMailServerUsername", label}, {"OutgoingMailServerUsername", label}}
	}
	account := append([]entry{
		{"PayloadType", "com.apple.mail.managed"}, {"PayloadVersion", 1},
		{"PayloadIdentifier", id + ".account"}, {"PayloadUUID", stableUUID("account", d.Name, a.String())}, {"PayloadDisplayName", label},
		{"EmailAccountType", "EmailTypePOP"}, {"EmailAccountDescription", label},
		// UseSSL with a port of STARTTLS is understood as STARTTLS.
		{"IncomingMailServerAuthentication", "EmailAuthPassword"}, {"IncomingMailServerHostName", d.Host},
		{"IncomingMailServerPortNumber", in.Number}, {"IncomingMailServerUseSSL", true},
		{"OutgoingMailServerAuthentication", "EmailAuthPassword"}, {"OutgoingMailServerHostName", d.Host},
		{"OutgoingMailServerPortNumber", out.Number}, {"OutgoingMailServerUseSSL", true},
		{"OutgoingPasswordSameAsIncomingPassword", true},
	}, who...)
	var b bytes.Buffer
	b.WriteString(xml.Header + plistType + `<plist version="1.0">` + "\n")
	writeDict(&b, "", []entry{
		{"PayloadType", "Configuration"}, {"PayloadVersion", 1}, {"PayloadIdentifier", id}, {"PayloadUUID", stableUUID("profile", d.Name, a.String())},
		{"PayloadDisplayName", label}, {"PayloadOrganization", d.Name}, {"PayloadDescription", "Mail of " + label},
		{"PayloadContent", [][]entry{account}},
	})
	b.WriteString("</plist>\n")
	return b.Bytes(), true
}

// entry is one of a property list's dictionary, whose values are string, int, bool or a list of dictionaries.
type entry struct {
	key   string
	value any
}

func writeDict(b *bytes.Buffer, indent string, dict []entry) {
	b.WriteString(indent + "<dict>\n")
	for _, e := range dict {
		fmt.Fprintf(b, "%s  <key>%s</key>\n", indent, e.key)
		switch v := e.value.(type) {
		case string:
			b.WriteString(indent + "  <string>")
			// Into a buffer nothing fails.
			_ = xml.EscapeText(b, []byte(v))
			b.WriteString("</string>\n")
		case int:
			b.WriteString(indent + "  <integer>" + strconv.Itoa(v) + "</integer>\n")
		case bool:
			fmt.Fprintf(b, "%s  <%t/>\n", indent, v)
		case [][]entry:
			b.WriteString(indent + "  <array>\n")
			for _, inner := range v {
				writeDict(b, indent+"    ", inner)
			}
			b.WriteString(indent + "  </array>\n")
		}
	}
	b.WriteString(indent + "</dict>\n")
}

// backwards is a domain as such identifiers have it: example.com → com.example.
func backwards(domain string) string {
	labels := strings.Split(domain, ".")
	for i, j := 0, len(labels)-1; i < j; i, j = i+1, j-1 {
		labels[i], labels[j] = labels[j], labels[i]
	}
	return strings.Join(labels, ".")
}

// stableUUID is a UUID of version 5 (RFC 9562 5.5) in the name space of DNS names: the same parts give the same one.
func stableUUID(what, domain, login string) string {
	dns := [16]byte{0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8} // RFC 9562 6.6
	sum := sha1.Sum(fmt.Appendf(dns[:], "%s.%s/%s", what, domain, login))
	u := sum[:16]
	u[6], u[8] = u[6]&0x0f|0x50, u[8]&0x3f|0x80
	return strings.ToUpper(fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:]))
}
