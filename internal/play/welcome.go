package play

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// Instance is what the welcome text tells of a running play instance.
type Instance struct {
	Ports  Ports
	State  State
	CA     string // path of the authority's certificate
	URL    string // where the pages are, without a final slash
	Data   string // the data folder
	Config string // the configuration file, for the program's other verbs
	Kept   bool   // the folder stays when the program ends
}

// password is what is printed for one.
func password(p Person) string {
	if p.Password == "" {
		return "the one that you have set"
	}
	return p.Password
}

// Welcome writes what a newcomer needs to begin: the first mail's link, the desk, and what to type into a mail client.
func Welcome(w io.Writer, in Instance) error {
	p, s := in.Ports, in.State
	link := s.Moved(in.URL)
	if link == "" {
		link = "(a new one comes with the next mail that you send as " + s.Sender.Name + ")"
	}
	if _, err := fmt.Fprintf(w, `
chmail is running on this computer only. Ctrl-C stops it.

%[1]s has sent %[2]s a first mail. The chat link in it:

    %[3]s

1. Open the desk as %[1]s, in a private window (owner and reader would share one browser here):
    %[4]s/desk        %[5]s   password %[6]s
2. Open the link above in an ordinary window, as %[2]s would, and move the mouse over it, tap or type: the desk rings.
3. What became of each mail that you send, and why one has no link in its text:
    %[4]s/desk/mails

`, s.Sender.Name, s.Reader.Name, link, in.URL, s.Sender.Login, password(s.Sender)); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(w, "To use your own mail client, set up either account:"); err != nil {
		return err
	}
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, row := range [][3]string{
		{"", s.Sender.Name, s.Reader.Name},
		{"Mail address and user name", s.Sender.Login, s.Reader.Login},
		{"Password", password(s.Sender), password(s.Reader)},
		{"Outgoing server (SMTP)", fmt.Sprintf("localhost, port %d STARTTLS or %d SSL/TLS, normal password", p.Submission, p.Submissions), ""},
		{"Incoming server (POP3)", fmt.Sprintf("localhost, port %d SSL/TLS or %d STARTTLS, normal password", p.POP3S, p.POP3), ""},
		{"Trust this certificate authority", in.CA, ""},
	} {
		if row[2] == "" {
			_, err := fmt.Fprintf(tw, "  %s\t%s\n", row[0], row[1])
			if err != nil {
				return err
			}
			continue
		}
		if _, err := fmt.Fprintf(tw, "  %s\t%s\t%s\n", row[0], row[1], row[2]); err != nil {
			return err
		}
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	kept := "removed when the program ends; keep it with --data DIR"
	if in.Kept {
		kept = "kept"
	}
	_, err := fmt.Fprintf(w, "\nMail from outside comes in on port %d. Chat ports: %d-%d. Data: %s (%s).\nEvery other verb works on it with its configuration: chmail presence --config %s\n",
		p.MX, p.ChatFirst, p.ChatLast, in.Data, kept, in.Config)
	return err
}
