package intake

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"chmail/internal/address"
	"chmail/internal/message"
	"chmail/internal/sqldb"
)

// Vet tells how Submit would refuse a mail for what it is; nil where it would not. It needs neither a server nor its data: whether the addresses in
// From and Sender are the login's own is not asked. r yields the mail with CRLF line ends; a large one lies in the folder dir meanwhile.
func Vet(ctx context.Context, r io.Reader, dir string) (*message.Refusal, error) {
	sp := &spool{dir: dir} // unlike openSpool's, which owns its folder, it sweeps nothing
	sp.rooms.New = func() any { b := make([]byte, 0, roomSize); return &b }
	in := &Intake{o: Options{Owners: anybody{}}, log: slog.New(slog.DiscardHandler), spool: sp}
	err := in.vet(ctx, r)
	if refusal := (*message.Refusal)(nil); errors.As(err, &refusal) && refusal.Code >= 500 {
		return refusal, nil
	}
	return nil, err
}

// vet goes the way of Submit up to where the mail is taken.
func (in *Intake) vet(ctx context.Context, r io.Reader) error {
	d, err := in.read(r)
	if err != nil {
		return err
	}
	defer d.close(in.log)
	if err := d.check(&d.tree.Head); err != nil {
		return err
	}
	if _, err := in.author(ctx, "", &d.tree.Head); err != nil || !d.survey.Long {
		return err
	}
	short, err := in.shorten(d)
	if err != nil {
		return err
	}
	short.close(in.log)
	return nil
}

// anybody owns every address.
type anybody struct{}

func (anybody) Owns(context.Context, string, address.Address) (bool, error) { return true, nil }
func (anybody) Remains(*sqldb.Tx, string, time.Time) (bool, error)          { return true, nil }
func (anybody) Stands(*sqldb.Tx, string, time.Time) (bool, error)           { return true, nil }
func (anybody) Recipients(context.Context, address.Address) ([]string, bool, error) {
	return nil, false, nil
}
