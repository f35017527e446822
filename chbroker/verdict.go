package chbroker

import (
	"time"

	"chmail/internal/call"
)

// Verdict says whether a login's computer is on (R9), by evidence alone (design 6.4).
type Verdict string

// The verdicts.
const (
	Active  Verdict = "active"  // a person did something at a device within the last minute
	On      Verdict = "on"      // a desk is connected, or a mail client signed in a short while ago
	Off     Verdict = "off"     // there was evidence, and it has run out
	Unknown Verdict = "unknown" // there never was any: could not be reached, never "is off"
)

// judge weighs the places of a login. ever tells whether there was evidence at any time.
func judge(places []Place, ever bool, now time.Time, active time.Duration) Verdict {
	v := Unknown
	if ever {
		v = Off
	}
	for _, p := range places {
		switch {
		case !p.Until.After(now):
			if v == Unknown {
				v = Off
			}
		case !p.Input.IsZero() && now.Sub(p.Input) < active:
			return Active
		default:
			v = On
		}
	}
	return v
}

// state is what the reader is told once the owner has been left word.
func (v Verdict) state() call.State {
	switch v {
	case Off:
		return call.Away
	case Unknown:
		return call.Unknown
	}
	return call.Noticed
}
