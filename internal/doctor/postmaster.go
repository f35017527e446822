package doctor

import (
	"context"
	"fmt"
)

// Running is what the running server is asked. An error means that nobody knows, as while none runs; nil, that it is not looked at.
type Running struct {
	// Postmaster tells who gets what the server has to say, and whether anybody can sign in as him.
	Postmaster func(context.Context) (login string, reads bool, err error)
	// Held tells whose mail for other hosts is held as it comes, and why.
	Held func(context.Context) ([]Held, error)
}

// Held is an account whose mail for other hosts is held as it comes.
type Held struct{ Login, Why string }

// postmaster looks whether somebody can read what the server has to say: of mail that it holds, above all.
func (d *Doctor) postmaster(ctx context.Context) []Finding {
	if d.Running.Postmaster == nil {
		return nil
	}
	login, reads, err := d.Running.Postmaster(ctx)
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

// held looks for accounts whose mail is held: one was stolen, or its owner waits for somebody to release it.
func (d *Doctor) held(ctx context.Context) (all []Finding) {
	if d.Running.Held == nil {
		return nil
	}
	held, err := d.Running.Held(ctx)
	if err != nil {
		return nil // that no server runs, the ports have told
	}
	const most = 20
	for i, h := range held {
		if i == most {
			return append(all, Finding{State: Warn, Check: "held", Subject: fmt.Sprintf("%d more", len(held)-most), Text: "their mail for other hosts is held as it comes", Mend: "chmail queue stopped lists them"})
		}
		all = append(all, Finding{
			State: Warn, Check: "held", Subject: h.Login, Text: "its mail for other hosts is held as it comes: " + h.Why,
			Mend: "see what waits: chmail queue list --login " + h.Login + "; if its owner meant it, chmail queue release --login " + h.Login + ", else chmail account passwd " + h.Login + ", and chmail account app-password list " + h.Login + ": remove each that you do not trust",
		})
	}
	return all
}
