package relay

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"chmail/internal/sqldb"
)

// Schema is the relay's part of the database: the policies of other domains (MTA-STS), which have to outlive a restart to be worth something (RFC 8461 5.1).
func Schema() sqldb.Schema {
	return sqldb.Schema{Room: "relay", Steps: []string{`
CREATE TABLE relay_policy (
	domain TEXT    NOT NULL PRIMARY KEY,
	id     TEXT    NOT NULL, -- of the DNS record under which it was fetched
	mode   TEXT    NOT NULL,
	mx     TEXT    NOT NULL, -- host names and patterns, with a blank between
	age    INTEGER NOT NULL, -- seconds for which it holds
	until  INTEGER NOT NULL  -- and until when, in Unix milliseconds
) STRICT, WITHOUT ROWID;
CREATE INDEX relay_policy_until ON relay_policy(until);
`}}
}

// SQLPolicies is a PolicyCache in the database.
type SQLPolicies struct{ db *sqldb.DB }

var _ PolicyCache = (*SQLPolicies)(nil)

// NewSQLPolicies keeps policies in db, which carries Schema.
func NewSQLPolicies(db *sqldb.DB) *SQLPolicies { return &SQLPolicies{db} }

// Policy implements PolicyCache.
func (s *SQLPolicies) Policy(ctx context.Context, domain string) (p Policy, ok bool, err error) {
	var mx string
	var age, until int64
	err = s.db.View(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(`SELECT id, mode, mx, age, until FROM relay_policy WHERE domain = ?`, domain).Scan(&p.ID, &p.Mode, &mx, &age, &until)
	})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return Policy{}, false, nil
	case err != nil:
		return Policy{}, false, fmt.Errorf("reading the policy of %s: %w", domain, err)
	}
	p.MX, p.Age, p.Until = strings.Fields(mx), time.Duration(age)*time.Second, time.UnixMilli(until)
	return p, true, nil
}

// SetPolicy implements PolicyCache. Policies that have run out, and were not fetched again for as long as any may hold, go.
func (s *SQLPolicies) SetPolicy(ctx context.Context, domain string, p Policy) error {
	err := s.db.Update(ctx, func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(`DELETE FROM relay_policy WHERE until < ?`, time.Now().Add(-maxPolicyAge)); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO relay_policy (domain, id, mode, mx, age, until) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (domain) DO UPDATE SET id = excluded.id, mode = excluded.mode, mx = excluded.mx, age = excluded.age, until = excluded.until`,
			domain, p.ID, p.Mode, strings.Join(p.MX, " "), int64(p.Age/time.Second), p.Until)
		return err
	})
	if err != nil {
		return fmt.Errorf("keeping the policy of %s: %w", domain, err)
	}
	return nil
}
