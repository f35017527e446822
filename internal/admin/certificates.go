package admin

import (
	"context"
	"time"
)

const pathCertificates = "/v1/certificates"

// Certificate is how it stands with a certificate that an authority is asked for.
type Certificate struct {
	Name    string    `json:"name"`
	Chain   string    `json:"chain"`   // PEM, the name's own first; "": there is none yet
	Trouble string    `json:"trouble"` // why there is none, or no newer one; "" when nothing is wrong. It may quote the authority
	Tried   time.Time `json:"tried"`   // when that was
}

// Certificates tells how it stands with those from an authority; none where they are in files.
func (c *Client) Certificates(ctx context.Context) (all []Certificate, err error) {
	err = c.get(ctx, pathCertificates, nil, &all)
	return all, err
}
