package doctor

import (
	"context"
	"time"
)

// Smarthost is a server that mail goes by.
type Smarthost struct {
	Name string
	Try  func(context.Context) error // a connection up to where a mail would be given to it, its login included
}

// smarthostTime is how long one smarthost is waited for.
const smarthostTime = 20 * time.Second

// smarthosts tries each: what is wrong with one, mail only shows by waiting.
func (d *Doctor) smarthosts(ctx context.Context) (all []Finding) {
	for _, s := range d.Smarthosts {
		f := Finding{Check: "smarthost", Subject: s.Name, State: OK, Text: "takes the connection, and the login where there is one"}
		within, cancel := context.WithTimeout(ctx, smarthostTime)
		if err := s.Try(within); err != nil {
			f.State, f.Text = Fail, err.Error()
			f.Mend = "look at relay.smarthosts: host, port, tls, login and password; all mail that goes by it waits meanwhile (chmail queue list --destination smarthost:" + s.Name + ")"
		}
		cancel()
		all = append(all, f)
	}
	return all
}
