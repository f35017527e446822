// Package config reads the YAML file by which an administrator sets up a server (R45), and says everything that is wrong with it at
// once, each fault with file, line, column and what would be right. Only cmd imports it: each room gets its own small options.
//
// Values come in three layers: the defaults, in the one literal below; the file; and ${VAR} in the file's values, from the environment.
package config

import (
	"log/slog"
	"path/filepath"
	"strings"
	"time"
)

// Config is a whole configuration. What Load and New return is checked, and in canonical form: domains as lower-case A-labels, paths
// absolute, chat.url without a final slash.
type Config struct {
	Hostname   string   `yaml:"hostname"`   // how the server calls itself: greetings, HELO, Received
	Domains    []string `yaml:"domains"`    // delivered here; the first is the server's own
	Data       string   `yaml:"data"`       // folder of database, blobs, spool, lock and control socket
	Postmaster string   `yaml:"postmaster"` // login; "" means postmaster@ the first domain
	TLS        TLS      `yaml:"tls"`
	SMTP       SMTP     `yaml:"smtp"`
	POP3       POP3     `yaml:"pop3"`
	Relay      Relay    `yaml:"relay"`
	Chat       Chat     `yaml:"chat"`
	Redis      Redis    `yaml:"redis"`
	Health     Health   `yaml:"health"`
	Log        Log      `yaml:"log"`
	Database   Database `yaml:"database"`

	file string           // as it was named; "" without one
	at   map[string]place // where each key of the file stands, by its path: "smtp.mx.listen[0]"
}

// TLS names the certificate that every port shows, or who gives it.
type TLS struct {
	Cert string `yaml:"cert"` // PEM file: the server's certificate, then those that lead to its authority
	Key  string `yaml:"key"`  // PEM file
	ACME ACME   `yaml:"acme"`
}

// ACME is how certificates are got from an authority (RFC 8555), in the place of files.
type ACME struct {
	Agree      bool   `yaml:"agree"`       // to the authority's terms; without it nothing is asked for
	Directory  string `yaml:"directory"`   // URL
	CA         string `yaml:"ca"`          // PEM file with who vouches for the directory itself, beside whom the system trusts; "": nobody
	Email      string `yaml:"email"`       // of the account with the authority; "": it is told none
	Challenge  string `yaml:"challenge"`   // how a name is proved: ByTLSALPN or ByHTTP
	HTTPListen string `yaml:"http_listen"` // for ByHTTP
}

// The values of tls.acme.challenge.
const (
	ByTLSALPN = "tls-alpn" // on the web port (RFC 8737)
	ByHTTP    = "http"     // on http_listen (RFC 8555 8.3)
)

// SMTP is how mail comes in.
type SMTP struct {
	MX            MX            `yaml:"mx"`
	Submission    Submission    `yaml:"submission"`
	Submissions   Submissions   `yaml:"submissions"`
	MaxMessage    Size          `yaml:"max_message"`
	MaxRecipients int           `yaml:"max_recipients"` // of one mail
	Idle          time.Duration `yaml:"idle"`           // a silent client is disconnected after this
	Connections   int           `yaml:"connections"`    // at once, over all SMTP ports
	PerNetwork    int           `yaml:"per_network"`    // of those, from one IPv4 address or IPv6 /64
	SCRAM         string        `yaml:"scram"`          // whether clients can prove a password, here and in POP3: SCRAMAsked, SCRAMAlways or SCRAMOff
	SCRAMPlus     bool          `yaml:"scram_plus"`     // bound to the TLS connection as well
}

// The values of smtp.scram.
const (
	SCRAMAsked  = "asked"  // once an account's own password can be
	SCRAMAlways = "always" // for app passwords alone, too
	SCRAMOff    = "off"
)

// MX is where other hosts bring mail.
type MX struct {
	Listen    []string `yaml:"listen"`
	Verify    bool     `yaml:"verify"`      // SPF, DKIM and DMARC are looked at, and what a domain disowns is refused
	Own       string   `yaml:"own_domains"` // mail in the name of our domains for which nothing vouches: OwnMark, OwnRefuse or OwnAccept
	TrustARC  []string `yaml:"trust_arc"`   // domains whose seals are believed when they say that a mail came from its author's domain (RFC 8617)
	Tag       string   `yaml:"subject_tag"` // before the subject of mail that is marked; "": nothing
	DNSBL     []string `yaml:"dnsbl"`       // lists of senders of spam, "zen.spamhaus.org" or "zen.spamhaus.org=2-11"
	PerMinute int      `yaml:"per_minute"`  // connections that one IPv4 address or IPv6 /64 may begin; 0: any number
	Rspamd    Rspamd   `yaml:"rspamd"`
	MTASTS    string   `yaml:"mta_sts"` // mode of the policy that other servers are given: STSEnforce, STSTesting or STSNone
}

// Rspamd is a filter of what is in mail from other hosts; without a URL there is none.
type Rspamd struct {
	URL      string        `yaml:"url"`      // of its normal worker
	Password string        `yaml:"password"` // that it wants; "" for none
	Within   time.Duration `yaml:"within"`   // it has so long for a mail
	Required bool          `yaml:"required"` // without its answer, mail is put off instead of taken
}

// The values of smtp.mx.own_domains.
const (
	OwnMark   = "mark"
	OwnRefuse = "refuse"
	OwnAccept = "accept"
)

// The values of smtp.mx.mta_sts (RFC 8461 5).
const (
	STSEnforce = "enforce"
	STSTesting = "testing"
	STSNone    = "none"
)

// Submission is where people's mail clients bring mail, with STARTTLS.
type Submission struct {
	Listen []string `yaml:"listen"`
	BareLF string   `yaml:"bare_lf"` // Refuse or Normalise, on both submission ports
}

// The values of smtp.submission.bare_lf.
const (
	Refuse    = "refuse"
	Normalise = "normalise"
)

// Submissions is submission in TLS from the first octet on.
type Submissions struct {
	Listen []string `yaml:"listen"`
}

// POP3 is how mail is fetched.
type POP3 struct {
	Listen      []string      `yaml:"listen"`     // login only after STLS
	ListenTLS   []string      `yaml:"listen_tls"` // TLS from the first octet on
	Idle        time.Duration `yaml:"idle"`
	Connections int           `yaml:"connections"`
	PerNetwork  int           `yaml:"per_network"`
	Quota       Size          `yaml:"quota"` // of a maildrop whose account says nothing else; 0: none
}

// Chat is the web side and the chat ports.
type Chat struct {
	URL      string        `yaml:"url"`    // what links begin with: scheme, host, perhaps port
	Listen   []string      `yaml:"listen"` // of the pages; chat ports are opened on the same addresses
	Ports    Ports         `yaml:"ports"`
	LinkLife time.Duration `yaml:"link_life"`
	Keep     time.Duration `yaml:"keep"`      // a conversation is removed so long after its last event; 0: never
	PortIdle time.Duration `yaml:"port_idle"` // a chat port without anybody closes after this
	Ring     time.Duration `yaml:"ring"`      // how long a desk rings
	Pause    time.Duration `yaml:"pause"`     // until it rings again
	Rings    int           `yaml:"rings"`     // how often it rings before word is left by mail
	Times    Times         `yaml:"times"`
	Limits   Limits        `yaml:"limits"`
	Stamp    string        `yaml:"stamp"` // StampOn, StampHeader or StampOff, where neither mail nor account says
	// StampTo has exceptions by the domain of a recipient, as canonical names. They only restrain: of several, and of what holds anyway, the
	// least goes for the whole mail.
	StampTo     map[string]string `yaml:"stamp_to"`
	Files       Files             `yaml:"files"`
	Connections int               `yaml:"connections"`
	PerNetwork  int               `yaml:"per_network"`
}

// Files bound the pictures and files in chats.
type Files struct {
	Max          Size `yaml:"max"`          // of one; 0: none can be sent
	Conversation Size `yaml:"conversation"` // of all in a conversation
	Login        Size `yaml:"login"`        // of all in the conversations of a login
	Attach       Size `yaml:"attach"`       // of those that go along when a conversation is mailed; 0: none do
}

// Times are the finer durations of a call; docs/call.md says where each has its place.
type Times struct {
	PageAge  time.Duration `yaml:"page_age"`  // a page rings no sooner than this after it was opened
	Ack      time.Duration `yaml:"ack"`       // a ring that no device has acknowledged by then was not delivered
	Verify   time.Duration `yaml:"verify"`    // a page that goes sooner than this after the ring was nobody's visit
	Grace    time.Duration `yaml:"grace"`     // a reader who comes back within this is in the same call
	Again    time.Duration `yaml:"again"`     // between two new beginnings of a call by signs of the owner
	Merge    time.Duration `yaml:"merge"`     // one notice per conversation in this time
	Words    time.Duration `yaml:"words"`     // word of a reader who is there and has written nothing waits so long for what he writes
	MailSign time.Duration `yaml:"mail_sign"` // how long a mail client's login is evidence, before its rhythm is known
	DeskSign time.Duration `yaml:"desk_sign"` // how long a desk that has not been heard of is
	Active   time.Duration `yaml:"active"`    // how long a person's input makes his login active
	Moment   time.Duration `yaml:"moment"`    // an owner who comes in a moment is rung for again after this
	Lease    time.Duration `yaml:"lease"`     // life of a chat port's lease without use
	// Transcript is how long nothing has happened in a conversation, and nobody is there, before its owner is sent what was said; 0: never.
	Transcript time.Duration `yaml:"transcript"`
}

// Limits are how many calls ring; one beyond them is shown at the desk without sound.
type Limits struct {
	Link        int           `yaml:"link"` // calls by the link of one mail within LinkTime
	LinkTime    time.Duration `yaml:"link_time"`
	Network     int           `yaml:"network"` // calls from one IPv4 address or IPv6 /64 within NetworkTime
	NetworkTime time.Duration `yaml:"network_time"`
}

// The values of chat.stamp and chat.stamp_to: how far a mail is stamped with its sender's chat link.
const (
	StampOn     = "on"          // header and body
	StampHeader = "header-only" // header
	StampOff    = "off"         // not at all
)

// Redis keeps presence and the leases of ports; "" keeps them in this process's memory.
type Redis struct {
	URL string `yaml:"url"`
}

// Health is where a monitor asks whether the server lives; "" for nowhere.
type Health struct {
	Listen string `yaml:"listen"`
}

// Relay is how mail goes to other hosts.
type Relay struct {
	Off            bool                 `yaml:"off"`             // it does not: mail for others is refused
	Retry          []time.Duration      `yaml:"retry"`           // pauses between attempts; the last one repeats
	Life           time.Duration        `yaml:"life"`            // after which a mail is given up and goes back
	Late           time.Duration        `yaml:"late"`            // after which its sender is told that it waits
	Connections    int                  `yaml:"connections"`     // at once, in all
	PerDestination int                  `yaml:"per_destination"` // of those, to one domain
	Resolver       string               `yaml:"resolver"`        // host:port of the name server; "": the system's
	Validates      bool                 `yaml:"validates"`       // it checks DNSSEC, and nobody can forge its answers on the way here
	Port           int                  `yaml:"port"`            // of other domains' mail servers
	PolicyPort     int                  `yaml:"policy_port"`     // of the web servers with their MTA-STS policies
	CA             string               `yaml:"ca"`              // PEM file with authorities that are trusted there and by mail servers, beside the system's
	Private        bool                 `yaml:"private"`         // their addresses may be private ones
	PerDay         int                  `yaml:"per_day"`         // recipients that one login may write to in a day before its mail is held; 0: any number
	NewPerDay      int                  `yaml:"new_per_day"`     // of those, such as it has never written to; 0: any number
	Smarthosts     map[string]Smarthost `yaml:"smarthosts"`      // by names of the administrator's choice
	Routes         []Route              `yaml:"routes"`          // the first that fits counts
}

// Smarthost is a server that takes mail for everywhere.
type Smarthost struct {
	Host     string `yaml:"host"`
	Port     int    `yaml:"port"` // 0: 587, with TLS from the start 465
	TLS      string `yaml:"tls"`  // TLSStart, TLSImplicit or TLSMay
	Login    string `yaml:"login"`
	Password string `yaml:"password"`
}

// The values of a smarthost's tls.
const (
	TLSStart    = "starttls"      // or nothing is sent
	TLSImplicit = "implicit"      // from the first octet on
	TLSMay      = "opportunistic" // where it works
)

// Route sends mail by a smarthost. An empty From or To fits every domain.
type Route struct {
	From string `yaml:"from"` // domain of the sender
	To   string `yaml:"to"`   // domain of the recipient
	Via  string `yaml:"via"`  // a smarthost's name; "mx": the recipient's own servers
}

// ByMX is the value of a route's via that names no smarthost.
const ByMX = "mx"

// Log is what is written to standard error.
type Log struct {
	Level  string `yaml:"level"`  // debug, info, warn, error
	Format string `yaml:"format"` // text, json
}

// Database is for a later version; whoever sets it is told so.
type Database struct {
	URL string `yaml:"url"`
}

// defaults is what holds where the file says nothing. Keys that are empty here and not optional have to be given.
func defaults() Config {
	return Config{
		TLS: TLS{ACME: ACME{Directory: letsEncrypt, Challenge: ByTLSALPN, HTTPListen: ":80"}},
		SMTP: SMTP{
			MX:            MX{Listen: []string{":25"}, MTASTS: STSEnforce, Verify: true, Own: OwnMark, PerMinute: 600, Rspamd: Rspamd{Within: 20 * time.Second}},
			Submission:    Submission{Listen: []string{":587"}, BareLF: Refuse},
			Submissions:   Submissions{Listen: []string{":465"}},
			MaxMessage:    50 << 20,
			MaxRecipients: 100,             // RFC 5321 4.5.3.1.8: at least
			Idle:          5 * time.Minute, // RFC 5321 4.5.3.2.7: at least
			Connections:   2000,
			PerNetwork:    256,
			SCRAM:         SCRAMAsked,
			SCRAMPlus:     true,
		},
		POP3: POP3{
			Listen: []string{":110"}, ListenTLS: []string{":995"},
			Idle:        10 * time.Minute, // RFC 1939 3: at least
			Connections: 2000,
			PerNetwork:  256,
		},
		Relay: Relay{
			Retry: []time.Duration{
				5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 16 * time.Hour,
			},
			Life: 5 * day, Late: 4 * time.Hour, Connections: 300, PerDestination: 20, Port: 25, PolicyPort: 443, PerDay: 2000, NewPerDay: 300,
		},
		Chat: Chat{
			Listen:   []string{":443"},
			Ports:    Ports{First: 24000, Last: 24999},
			LinkLife: 30 * day,
			Keep:     90 * day,
			PortIdle: time.Minute,
			Ring:     30 * time.Second,
			Pause:    30 * time.Second,
			Rings:    3,
			Times: Times{
				PageAge: 2 * time.Second, Ack: 10 * time.Second, Verify: 5 * time.Second, Grace: 15 * time.Second, Again: 15 * time.Second,
				Merge: 15 * time.Minute, Words: 20 * time.Second, MailSign: 15 * time.Minute, DeskSign: 90 * time.Second, Active: time.Minute, Moment: 2 * time.Minute, Lease: 30 * day, Transcript: 30 * time.Minute,
			},
			Limits:      Limits{Link: 3, LinkTime: 10 * time.Minute, Network: 10, NetworkTime: time.Hour},
			Stamp:       StampOn,
			Files:       Files{Max: 10 << 20, Conversation: 200 << 20, Login: 2 << 30, Attach: 10 << 20},
			Connections: 5000,
			PerNetwork:  256,
		},
		Health: Health{Listen: "127.0.0.1:9180"},
		Log:    Log{Level: "info", Format: "text"},
	}
}

const day = 24 * time.Hour

// letsEncrypt is the directory of the authority that is asked where no other is named.
const letsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"

// New makes a configuration without a file: the defaults, with what set changes. It passes the same checks as a file; the error is an *Error.
// Relative paths are relative to the working folder.
func New(set func(*Config)) (*Config, error) {
	c := defaults()
	set(&c)
	c.file, c.at = "", nil
	f := new(faults)
	if c.validate(f, "."); len(f.all) > 0 {
		return nil, &Error{Faults: f.all}
	}
	return &c, nil
}

// IsSet tells whether the file sets a key itself, as in IsSet("health.listen"). A default that does not fit the machine deserves a warning,
// what somebody wrote an error.
func (c *Config) IsSet(key string) bool {
	_, ok := c.at[key]
	return ok
}

// ControlSocket is the path of the socket by which the program's verbs reach the running server.
func (c *Config) ControlSocket() string { return filepath.Join(c.Data, "control.sock") }

// Secure tells whether the web side and the chat ports speak TLS; they do everywhere but on loopback.
func (c *Config) Secure() bool { return strings.HasPrefix(c.Chat.URL, "https:") }

// LogLevel is log.level as slog has it.
func (c *Config) LogLevel() slog.Level {
	var l slog.Level
	if l.UnmarshalText([]byte(c.Log.Level)) != nil {
		return slog.LevelInfo // not reached once validated
	}
	return l
}
