package autoconfig

import (
	"bytes"
	"encoding/xml"
)

// The paths of the autoconfig file: the first on the host autoconfig.DOMAIN, the second there and on DOMAIN itself.
// https://www.bucksch.org/1/projects/thunderbird/autoconfiguration/config-file-format.html
const (
	ThunderbirdPath  = "/mail/config-v1.1.xml"
	ThunderbirdPath2 = "/.well-known/autoconfig/mail/config-v1.1.xml"
)

type clientConfig struct {
	XMLName  xml.Name      `xml:"clientConfig"`
	Version  string        `xml:"version,attr"`
	Provider emailProvider `xml:"emailProvider"`
}

type emailProvider struct {
	ID       string       `xml:"id,attr"`
	Domain   string       `xml:"domain"`
	Name     string       `xml:"displayName"`
	Short    string       `xml:"displayShortName"`
	Incoming []mailServer `xml:"incomingServer"`
	Outgoing []mailServer `xml:"outgoingServer"`
}

type mailServer struct {
	Type   string `xml:"type,attr"`
	Host   string `xml:"hostname"`
	Port   int    `xml:"port"`
	Socket string `xml:"socketType"`
	Auth   string `xml:"authentication"`
	User   string `xml:"username"`
}

// Thunderbird is the domain's autoconfig file, version 1.1, which Thunderbird, K-9, Evolution, KMail and others read: text/xml. A login is the full mail
// address, for which the client puts its user's.
func (d Domain) Thunderbird() []byte {
	servers := func(kind string, ports []Port) []mailServer {
		var all []mailServer
		for _, p := range ports {
			socket := "STARTTLS"
			if p.TLS {
				socket = "SSL"
			}
			all = append(all, mailServer{Type: kind, Host: d.Host, Port: p.Number, Socket: socket, Auth: "password-cleartext", User: "%EMAILADDRESS%"})
		}
		return all
	}
	return document(clientConfig{Version: "1.1", Provider: emailProvider{
		ID: d.Name, Domain: d.Name, Name: d.Name, Short: d.Name, Incoming: servers("pop3", d.POP3), Outgoing: servers("smtp", d.SMTP),
	}}, "")
}

// document is v as an XML document; doctype stands behind its declaration.
func document(v any, doctype string) []byte {
	var b bytes.Buffer
	b.WriteString(xml.Header + doctype)
	enc := xml.NewEncoder(&b)
	enc.Indent("", "  ")
	if err := enc.Encode(v); err != nil {
		panic("writing XML into memory: " + err.Error()) // only a type that XML cannot hold fails; the tests write each of ours
	}
	b.WriteByte('\n')
	return b.Bytes()
}
