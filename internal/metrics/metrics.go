// Package metrics keeps the server's figures and shows them to Prometheus. The rooms know nothing of it: wiring hands them what they call, and reads what they have counted
// themselves when somebody asks.
//
// No figure tells whom it is about. A label has one of a few values that are written down in this package; whatever else it is given, a word of a stranger's among them, is
// counted as "other". So neither an address nor a domain can come out here, and the number of series is fixed when the program starts.
package metrics

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// other is what a label says that was given a value which is not its own.
const other = "other"

// Metrics are all figures. Its methods may be called by many goroutines; they do not wait, and those on the way of a mail allocate nothing.
type Metrics struct {
	registry *prometheus.Registry

	SMTP   SMTP
	Logins *Pairs // by protocol (smtp, pop3, web) and outcome (ok, wrong, refused, trouble)
	Relay  Relay
	// Checked are the results for mail from outside: by method (spf, dkim, dmarc, arc) and result (RFC 8601 2.7).
	Checked *Pairs
	// Unjudged are mails from outside about which rspamd gave no answer.
	Unjudged *Counts
	DB       DB
	Calls    *Counts // by outcome: begun, answered, declined, missed, unverified
	Rang     *Times  // until a device of the owner's made itself noticed
	Pushes   *Counts // messages to browsers, by outcome: sent, gone, failed
	Web      *Counts // requests, by status: 1xx to 5xx, none
}

// SMTP are the figures of mail that comes in, by port: submission, submissions, mx.
type SMTP struct {
	Mails      *Counts
	Octets     *Counts
	Recipients *Pairs   // by port and where: here, elsewhere
	Refused    *Triples // by port, reason and class: Reason, and 4xx or 5xx
}

// Relay are the figures of mail that goes out.
type Relay struct {
	Attempts    *Counts // recipients, by outcome: delivered, deferred, failed
	Took        *Times  // attempts, where another host was asked
	Connections *Counts // by how they are protected: none, starttls, verified, sts, dane; failed for those that came to nothing
	Reports     *Counts // to senders, by what they say: failed, delayed, relayed
	Signed      *Times
	Unsigned    *Counts // mails whose signing failed, by: failed
}

// DB are the figures of commits.
type DB struct {
	Took   *Times
	Shared *Sizes  // how many changes a commit has
	Failed *Counts // by: failed
}

// Options are what Metrics show beside what they are told.
type Options struct {
	Version string // of the program
	// Now reads what the rooms have counted. It is called when somebody asks, by one goroutine at a time, within two seconds. Nil: there is nothing of theirs.
	Now func(ctx context.Context) Now
	Log *slog.Logger // nil: slog.Default()
}

var (
	ports     = []string{"submission", "submissions", "mx"}
	reasons   = []string{"address", "mailbox", "system", "route", "protocol", "content", "policy", "password"}
	protocols = []string{"smtp", "pop3", "web"}
	results   = []string{"none", "pass", "fail", "softfail", "neutral", "policy", "temperror", "permerror"}
)

// New makes the figures, all at zero.
func New() *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	f := family{m.registry}
	m.SMTP = SMTP{
		Mails:      f.counts("chmail_mails_taken_total", "Mails acknowledged to whoever brought them, by the kind of port.", "port", ports...),
		Octets:     f.counts("chmail_mails_taken_bytes_total", "Size of these mails, as they came.", "port", ports...),
		Recipients: f.pairs("chmail_mail_recipients_total", "Recipients of these mails, here and on other hosts.", "port", ports, "where", []string{"here", "elsewhere"}),
		Refused:    f.triples("chmail_smtp_refused_total", "Refusals told to clients, by what they are about (RFC 3463) and whether trying again may help.", "port", ports, "reason", reasons, "class", []string{"4xx", "5xx"}),
	}
	m.Logins = f.pairs("chmail_logins_total", "Passwords looked at.", "protocol", protocols, "outcome", []string{"ok", "wrong", "refused", "trouble"})
	m.Relay = Relay{
		Attempts:    f.counts("chmail_relay_recipients_total", "Recipients on other hosts for whom delivery was tried, by what became of it; failed is for good.", "outcome", "delivered", "deferred", "failed"),
		Took:        f.times("chmail_relay_attempt_seconds", "Time of an attempt to bring a mail to another host.", .01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300),
		Connections: f.counts("chmail_relay_connections_total", "Connections to other hosts, by how they were protected.", "security", "none", "starttls", "verified", "sts", "dane", "failed"),
		Reports:     f.counts("chmail_reports_total", "Reports to senders about their mail.", "kind", "failed", "delayed", "relayed"),
		Signed:      f.times("chmail_dkim_sign_seconds", "Time to sign a mail.", .0005, .001, .0025, .005, .01, .025, .05, .1, .5, 1),
		Unsigned:    f.counts("chmail_dkim_failures_total", "Mails that could not be signed, and wait.", "", ""),
	}
	m.Checked = f.pairs("chmail_mail_checks_total", "What was found about mails from outside.", "method", []string{"spf", "dkim", "dmarc", "arc"}, "result", results)
	m.Unjudged = f.counts("chmail_rspamd_failures_total", "Mails from outside about which rspamd gave no answer that could be followed.", "", "")
	m.DB = DB{
		Took:   f.times("chmail_db_commit_seconds", "Time of a commit, the writing to the disk above all.", .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5),
		Shared: f.sizes("chmail_db_commit_changes", "Changes that shared a commit.", 1, 2, 4, 8, 16, 32, 64, 128, 256),
		Failed: f.counts("chmail_db_commit_failures_total", "Commits that failed.", "", ""),
	}
	m.Calls = f.counts("chmail_calls_total", "Calls of readers, by what became of them; one may be answered again.", "outcome", "begun", "answered", "declined", "missed", "unverified")
	m.Rang = f.times("chmail_ring_seconds", "Time until a device of the owner's made itself noticed.", .05, .1, .25, .5, 1, 2.5, 5, 10)
	m.Pushes = f.counts("chmail_push_total", "Messages to browsers whose desk is closed.", "outcome", "sent", "gone", "failed")
	m.Web = f.counts("chmail_web_requests_total", "Requests on the web port; none is for connections that were taken over, by sockets above all.", "status", "1xx", "2xx", "3xx", "4xx", "5xx", "none")
	return m
}

// Handler answers GET /metrics. To be called once.
func (m *Metrics) Handler(o Options) http.Handler {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "chmail_build_info", Help: "The program; always 1.", ConstLabels: prometheus.Labels{"version": o.Version}})
	build.Set(1)
	m.registry.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if o.Now != nil {
		m.registry.MustRegister(newReader(o.Now))
	}
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, ErrorLog: quiet{o.Log}, MaxRequestsInFlight: 4, CoalesceGather: true,
	})
}

// quiet brings the library's complaints to our log.
type quiet struct{ log *slog.Logger }

// Println implements promhttp.Logger.
func (q quiet) Println(v ...any) { q.log.Warn("metrics: " + fmt.Sprint(v...)) }

// Took notes how long something took that began then.
func (t *Times) Took(began time.Time) { t.Add(time.Since(began)) }
