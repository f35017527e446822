package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"chmail/internal/netutil"
)

// Now is what the rooms have counted, at one moment. What is nil could not be found out, and is not shown.
type Now struct {
	Queue *Queue
	// Conns are connections by listener: submission, submissions, mx, pop3, pop3s, web, chat.
	Conns map[string]netutil.Stats
	POP3  POP3
	Chat  Chat
	Maps  Maps
	Disk  *Disk
	// Expires is when a certificate runs out, by what it is for: mail, chat; other is the one of all others that runs out first. A zero time: there is none.
	Expires map[string]time.Time
	// Missing is how many names have no certificate, by the same; none where they are in files.
	Missing map[string]int
}

// Queue is the queue, in recipients.
type Queue struct {
	Waiting, Active, Held, Due int
	Oldest                     time.Duration // age of what has waited longest and is not held; 0: nothing waits
	Logins                     int           // held as a whole
	Lines                      int           // connections to other hosts
}

// POP3 is what has been fetched since the program was started.
type POP3 struct{ Sessions, Messages, Octets, Deleted uint64 }

// Chat is who is in chats, and what has been said since the program was started.
type Chat struct {
	Readers, Desks, Terminals int64
	Ports                     int
	Messages, Files           uint64
}

// Maps are the presence and port maps, in Redis mostly.
type Maps struct {
	Answer   bool
	Failures uint64 // since the program was started
}

// Disk is the file system of the data, and the database on it; octets.
type Disk struct{ Free, Size, Database uint64 }

// readWithin bounds what one question costs.
const readWithin = 2 * time.Second

// reader asks for Now when somebody asks for the figures.
type reader struct {
	now   func(context.Context) Now
	descs map[string]*prometheus.Desc
}

var listeners = []string{"submission", "submissions", "mx", "pop3", "pop3s", "web", "chat"}

// sheet says what there is in Now: name, label ("" for none), help.
var sheet = []struct{ name, label, help string }{
	{"chmail_connections", "listener", "Connections at this moment."},
	{"chmail_connections_total", "listener", "Connections taken."},
	{"chmail_connections_refused_total", "listener", "Connections turned away, since there were too many, in all or from one network, at once or in a minute."},
	{"chmail_queue_recipients", "state", "Recipients on other hosts whose mail is here."},
	{"chmail_queue_due", "", "Of those that wait, how many could be tried now."},
	{"chmail_queue_oldest_seconds", "", "Age of the mail that has waited longest, what is held left out."},
	{"chmail_queue_held_logins", "", "Logins whose mail is held until somebody has looked."},
	{"chmail_queue_connections", "", "Connections to other hosts at this moment."},
	{"chmail_pop3_sessions_total", "", "POP3 sessions with a login."},
	{"chmail_pop3_messages_total", "", "Messages fetched, whole or their tops."},
	{"chmail_pop3_bytes_total", "", "Size of what was fetched."},
	{"chmail_pop3_deleted_total", "", "Messages deleted."},
	{"chmail_chat_connected", "kind", "Pages of readers, desks and terminals that are connected."},
	{"chmail_chat_ports", "", "Chat ports that listen."},
	{"chmail_chat_messages_total", "", "Messages said in chats."},
	{"chmail_chat_files_total", "", "Files sent in chats."},
	{"chmail_redis_up", "", "1 when the presence and port maps answer, in Redis or in memory."},
	{"chmail_redis_failures_total", "", "Questions that they did not answer in time."},
	{"chmail_disk_free_bytes", "", "Space that is left where the data is."},
	{"chmail_disk_size_bytes", "", "All of that file system."},
	{"chmail_db_bytes", "", "Size of the database with its log."},
	{"chmail_certificate_expires_timestamp_seconds", "use", "When a certificate runs out, in seconds since 1970."},
	{"chmail_certificates_missing", "use", "Names that have no certificate from the authority."},
}

func newReader(now func(context.Context) Now) *reader {
	r := &reader{now: now, descs: make(map[string]*prometheus.Desc)}
	for _, s := range sheet {
		var labels []string
		if s.label != "" {
			labels = []string{s.label}
		}
		r.descs[s.name] = prometheus.NewDesc(s.name, s.help, labels, nil)
	}
	return r
}

// Describe implements prometheus.Collector.
func (r *reader) Describe(c chan<- *prometheus.Desc) {
	for _, d := range r.descs {
		c <- d
	}
}

// Collect implements prometheus.Collector.
func (r *reader) Collect(c chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), readWithin)
	defer cancel()
	n := r.now(ctx)
	gauge := func(name string, v float64, label ...string) {
		c <- prometheus.MustNewConstMetric(r.descs[name], prometheus.GaugeValue, v, label...)
	}
	count := func(name string, v uint64, label ...string) {
		c <- prometheus.MustNewConstMetric(r.descs[name], prometheus.CounterValue, float64(v), label...)
	}
	for _, l := range listeners {
		s := n.Conns[l]
		gauge("chmail_connections", float64(s.Open), l)
		count("chmail_connections_total", s.Taken, l)
		count("chmail_connections_refused_total", s.Refused, l)
	}
	if q := n.Queue; q != nil {
		gauge("chmail_queue_recipients", float64(q.Waiting), "waiting")
		gauge("chmail_queue_recipients", float64(q.Active), "active")
		gauge("chmail_queue_recipients", float64(q.Held), "held")
		gauge("chmail_queue_due", float64(q.Due))
		gauge("chmail_queue_oldest_seconds", q.Oldest.Seconds())
		gauge("chmail_queue_held_logins", float64(q.Logins))
		gauge("chmail_queue_connections", float64(q.Lines))
	}
	count("chmail_pop3_sessions_total", n.POP3.Sessions)
	count("chmail_pop3_messages_total", n.POP3.Messages)
	count("chmail_pop3_bytes_total", n.POP3.Octets)
	count("chmail_pop3_deleted_total", n.POP3.Deleted)
	gauge("chmail_chat_connected", float64(n.Chat.Readers), "reader")
	gauge("chmail_chat_connected", float64(n.Chat.Desks), "desk")
	gauge("chmail_chat_connected", float64(n.Chat.Terminals), "terminal")
	gauge("chmail_chat_ports", float64(n.Chat.Ports))
	count("chmail_chat_messages_total", n.Chat.Messages)
	count("chmail_chat_files_total", n.Chat.Files)
	up := 0.0
	if n.Maps.Answer {
		up = 1
	}
	gauge("chmail_redis_up", up)
	count("chmail_redis_failures_total", n.Maps.Failures)
	if d := n.Disk; d != nil {
		gauge("chmail_disk_free_bytes", float64(d.Free))
		gauge("chmail_disk_size_bytes", float64(d.Size))
		gauge("chmail_db_bytes", float64(d.Database))
	}
	for _, use := range []string{"mail", "chat", "other"} {
		if t := n.Expires[use]; !t.IsZero() {
			gauge("chmail_certificate_expires_timestamp_seconds", float64(t.Unix()), use)
		}
		gauge("chmail_certificates_missing", float64(n.Missing[use]), use)
	}
}
