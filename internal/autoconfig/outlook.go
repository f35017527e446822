package autoconfig

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"chmail/internal/address"
)

// OutlookPath is where Outlook posts its question, on the hosts autodiscover.DOMAIN and DOMAIN, in capitals or not (MS-OXDISCO 3.1.5.4).
const OutlookPath = "/autodiscover/autodiscover.xml"

// MaxQuestion is how many octets a question may have. Outlook's have about 400.
const MaxQuestion = 16 << 10

const (
	outlookEnvelope = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"
	outlookSettings = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
)

// ErrQuestion is wrapped by the errors of ReadQuestion: what was posted is no question of Outlook's.
var ErrQuestion = errors.New("no autodiscover question")

// A Question is what a mail client posts (MS-OXDSCLI 2.2.3).
type Question struct {
	Address address.Address // whose settings are asked for
	Mobile  bool            // it takes the settings of Exchange ActiveSync only, which is not spoken here
}

// ReadQuestion reads at most MaxQuestion octets of a posted document. What it holds beside the address and the schema is passed over.
func ReadQuestion(r io.Reader) (Question, error) {
	body, err := io.ReadAll(io.LimitReader(r, MaxQuestion+1))
	if err != nil {
		return Question{}, fmt.Errorf("reading an autodiscover question: %w", err)
	}
	if len(body) > MaxQuestion {
		return Question{}, fmt.Errorf("%w: longer than %d octets", ErrQuestion, MaxQuestion)
	}
	var posted struct {
		XMLName xml.Name `xml:"Autodiscover"`
		Address string   `xml:"Request>EMailAddress"`
		Legacy  string   `xml:"Request>LegacyDN"`
		Schema  string   `xml:"Request>AcceptableResponseSchema"`
	}
	// A decoder of its own, since Unmarshal would take whatever stands behind the document. encoding/xml expands no entity but XML's own five: there is nothing to blow up.
	dec := xml.NewDecoder(bytes.NewReader(body))
	if err := dec.Decode(&posted); err != nil {
		return Question{}, fmt.Errorf("%w: %w", ErrQuestion, err)
	}
	if posted.Address == "" {
		posted.Address = posted.Legacy // some clients write it there, the address element being optional
	}
	a, err := address.Parse(strings.TrimSpace(posted.Address))
	if err != nil {
		return Question{}, fmt.Errorf("%w: %w", ErrQuestion, err)
	}
	return Question{Address: a, Mobile: strings.Contains(posted.Schema, "/mobilesync/")}, nil
}

type outlookAnswer struct {
	XMLName  xml.Name        `xml:"Autodiscover"`
	NS       string          `xml:"xmlns,attr"`
	Response outlookResponse `xml:"Response"`
}

type outlookResponse struct {
	NS      string          `xml:"xmlns,attr,omitempty"`
	User    *outlookUser    `xml:"User"`
	Account *outlookAccount `xml:"Account"`
	Error   *outlookError   `xml:"Error"`
}

type outlookUser struct {
	Name string `xml:"DisplayName"`
}

type outlookAccount struct {
	Type      string            `xml:"AccountType"`
	Action    string            `xml:"Action"`
	Protocols []outlookProtocol `xml:"Protocol"`
}

type outlookProtocol struct {
	Type       string `xml:"Type"`
	Server     string `xml:"Server"`
	Port       int    `xml:"Port"`
	Login      string `xml:"LoginName"`
	Domain     string `xml:"DomainRequired"`
	SPA        string `xml:"SPA"`
	SSL        string `xml:"SSL"`
	Encryption string `xml:"Encryption"` // overrides SSL where it is understood
	Auth       string `xml:"AuthRequired"`
	UsePOP     string `xml:"UsePOPAuth,omitempty"`
	Last       string `xml:"SMTPLast,omitempty"`
}

type outlookError struct {
	Code    int      `xml:"ErrorCode"`
	Message string   `xml:"Message"`
	Debug   struct{} `xml:"DebugData"`
}

// Outlook is the answer to an address of this domain (MS-OXDSCLI 2.2.4), text/xml. Whether there is such an account is not looked at: the answer is the same for
// every address, so that nobody learns from it who has one.
func (d Domain) Outlook(a address.Address) []byte {
	account := &outlookAccount{Type: "email", Action: "settings"}
	for _, server := range []struct {
		kind  string
		ports []Port
	}{{"POP3", d.POP3}, {"SMTP", d.SMTP}} {
		for _, port := range server.ports {
			p := outlookProtocol{Type: server.kind, Server: d.Host, Port: port.Number, Login: a.String(), Domain: "off", SPA: "off", SSL: "on", Encryption: "TLS", Auth: "on"}
			if port.TLS {
				p.Encryption = "SSL"
			}
			if server.kind == "SMTP" {
				p.UsePOP, p.Last = "on", "off"
			}
			account.Protocols = append(account.Protocols, p)
		}
	}
	return document(outlookAnswer{NS: outlookEnvelope, Response: outlookResponse{NS: outlookSettings, User: &outlookUser{a.String()}, Account: account}}, "")
}

// The refusals of autodiscover (MS-OXDSCLI 2.2.4.1.1.4).
const (
	OutlookBadRequest = 600 // the question is none
	OutlookNoProvider = 601 // the settings asked for are of a kind that is not served here
	OutlookNoAddress  = 500 // the address is none of this server's
)

// OutlookRefusal is the answer to a question that has none; text is a few words for whoever looks into it.
func OutlookRefusal(code int, text string) []byte {
	return document(outlookAnswer{NS: outlookEnvelope, Response: outlookResponse{Error: &outlookError{Code: code, Message: text}}}, "")
}
