package doctor

import "context"

// Postmaster tells who gets what the server has to say, and whether anybody can sign in as him. An error means that nobody knows, as while no server runs.
type Postmaster func(context.Context) (login string, reads bool, err error)

// postmaster looks whether somebody can read what the server has to say: of mail that it holds, above all.
func (d *Doctor) postmaster(ctx context.Context) []Finding {
	if d.Postmaster == nil {
		return nil
	}
	login, reads, err := d.Postmaster(ctx)
	f := Finding{State: OK, Check: "postmaster", Subject: login, Text: "has a password"}
	switch {
	case err != nil:
		return nil // that no server runs, the ports have told
	case !reads:
		f.State, f.Text = Warn, "has no password: nobody reads of mail that is held, nor what other postmasters write"
		f.Mend = "chmail account passwd " + login + "; or name in postmaster: a login of somebody who reads"
	}
	return []Finding{f}
}
