package autoconfig

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// The modes of an MTA-STS policy (RFC 8461 5).
const (
	STSEnforce = "enforce" // who cannot reach the MX by TLS with a certificate that holds does not deliver
	STSTesting = "testing" // he delivers, and reports
	STSNone    = "none"    // there is no policy any more
)

// stsMaxAge is how long other servers keep the policy, in seconds: a week. RFC 8461 3.2 allows a year, but a mistake stays as long.
const stsMaxAge = 7 * 24 * 60 * 60

// STSPath is where the policy lies on the host mta-sts.DOMAIN (RFC 8461 3.3).
const STSPath = "/.well-known/mta-sts.txt"

// STSPolicy is the domain's MTA-STS policy (RFC 8461 3.2), text/plain with CRLF.
func (d Domain) STSPolicy() []byte {
	return fmt.Appendf(nil, "version: STSv1\r\nmode: %s\r\nmx: %s\r\nmax_age: %d\r\n", d.STS, d.Host, stsMaxAge)
}

// STSID is what the TXT record at _mta-sts.DOMAIN names the policy with (RFC 8461 3.1): 20 letters and digits that change when the policy does, and
// only then.
func (d Domain) STSID() string {
	sum := sha256.Sum256(d.STSPolicy())
	return hex.EncodeToString(sum[:10])
}
