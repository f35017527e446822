package doctor

import (
	"context"
	"errors"
	"testing"
)

func TestASmarthostThatTakesNoMailIsFound(t *testing.T) {
	t.Parallel()
	d := New(Options{Smarthosts: []Smarthost{
		{"good", func(context.Context) error { return nil }},
		{"bad", func(ctx context.Context) error {
			if _, bounded := ctx.Deadline(); !bounded {
				t.Error("it may take for ever")
			}
			return errors.New("the smarthost refuses the login: 535")
		}},
	}})
	all := d.smarthosts(t.Context())
	if len(all) != 2 || all[0].State != OK || all[1].State != Fail || all[1].Subject != "bad" || all[1].Text != "the smarthost refuses the login: 535" || all[1].Mend == "" {
		t.Errorf("%+v", all)
	}
}
