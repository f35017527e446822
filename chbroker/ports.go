package chbroker

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"chmail/internal/sqldb"
)

const (
	cardWait  = 40 * time.Millisecond // for a first port; a mail does not wait longer
	portRetry = time.Minute           // a login that got no port asks again after this
	portTries = 4                     // ports that turn out to be somebody else's, before giving up
	carrySlop = 30                    // carried is written ahead by this part of a link's life, so that it is written once a day and not with every mail
	portWork  = 10 * time.Second      // for choosing a port, in the background
)

// ports is the port map's hard side: which number each login keeps. A login's number is read and chosen once and then remembered.
type ports struct {
	b     *Broker
	stale atomic.Bool // the port map may lack leases; the keeper writes all again

	mu      sync.Mutex
	owners  map[string]*owner
	foreign map[int]time.Time // ports that the port map gives to others, and until when
}

// owner is what is remembered of one login. Guarded by ports.mu.
type owner struct {
	port    int       // 0: none
	until   time.Time // end of the lease
	carried time.Time
	used    time.Time
	written time.Time     // used as SQL has it
	retry   time.Time     // without a port: when to ask again
	choice  chan struct{} // closed when the choice under way is made; nil when none is
}

func newPorts(b *Broker) *ports {
	return &ports{b: b, owners: make(map[string]*owner), foreign: make(map[int]time.Time)}
}

// portRow is a row of chbroker_port.
type portRow struct {
	port                 int
	login                string
	number               int64
	used, until, carried time.Time
}

// warm makes sure that a port is being found, without waiting.
func (p *ports) warm(login string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.use(login, time.Now())
}

// card is the port for a mail of login's: usually the remembered one. A first one is waited for, but not long.
func (p *ports) card(ctx context.Context, login string) int {
	p.mu.Lock()
	o := p.use(login, time.Now())
	port, choice := o.port, o.choice
	p.mu.Unlock()
	if port != 0 || choice == nil {
		return port
	}
	wait := time.NewTimer(cardWait)
	defer wait.Stop()
	select {
	case <-choice:
	case <-wait.C:
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return o.port
}

// use notes a use of login's port, and has it chosen or its lease renewed where that is due. p.mu is held.
func (p *ports) use(login string, now time.Time) *owner {
	o := p.owners[login]
	if o == nil {
		o = &owner{}
		p.owners[login] = o
	}
	o.used = now
	due := o.port == 0 && !now.Before(o.retry) || o.port != 0 && o.until.Sub(now) < p.b.times.Lease-p.b.times.Lease/30
	if due && o.choice == nil {
		done := make(chan struct{})
		if p.b.work.start(func() { p.decide(login, o, done) }) {
			o.choice = done
		}
	}
	return o
}

// decide has login's port chosen, in the background.
func (p *ports) decide(login string, o *owner, done chan struct{}) {
	ctx, cancel := context.WithTimeout(p.b.ctx, portWork)
	defer cancel()
	row, err := p.choose(ctx, login)
	if err != nil && p.b.ctx.Err() == nil {
		p.b.log.Warn("no port for a login", "login", login, "err", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		o.port, o.until, o.carried, o.written = row.port, row.until, row.carried, row.used
	}
	if err != nil || row.port == 0 {
		o.retry = time.Now().Add(portRetry)
	}
	o.choice = nil
	close(done)
}

// choose finds login's number, or gives it one, and takes its lease; a port of 0 when there is none to be had.
func (p *ports) choose(ctx context.Context, login string) (portRow, error) {
	for range portTries {
		row, err := p.number(ctx, login)
		if err != nil || row.port == 0 {
			return row, err
		}
		var held []Lease
		err = p.b.guard.do(ctx, "taking a lease", func(ctx context.Context) (err error) {
			held, err = p.b.guard.maps.Take(ctx, p.b.o.Host, []Lease{row.lease()})
			return err
		})
		if err != nil {
			p.stale.Store(true) // the number is his all the same; the port map learns it later
			return row, nil
		}
		if len(held) == 0 {
			return row, nil
		}
		p.conflict(held)
	}
	return portRow{}, errors.New("the port map gives every port that was tried to somebody else")
}

func (r portRow) lease() Lease {
	return Lease{Port: r.port, Login: r.login, Number: r.number, Until: r.until}
}

// conflict remembers ports that the port map gives to others: another installation shares the map, or this database was put back from a copy.
func (p *ports) conflict(held []Lease) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range held {
		p.foreign[l.Port] = l.Until
		p.b.log.Warn("a port is leased to somebody else by the port map", "port", l.Port, "login", l.Login, "number", l.Number)
		for _, o := range p.owners {
			if o.port == l.Port {
				o.port, o.retry = 0, time.Time{}
			}
		}
	}
}

// taken is what choosing a port must leave alone.
type taken struct {
	ports  map[int]bool    // listened on, or held by others
	logins map[string]bool // whose port was used a short while ago
}

func (p *ports) taken(now time.Time) taken {
	t := taken{ports: make(map[int]bool), logins: make(map[string]bool)}
	for _, port := range p.b.o.Listening() {
		t.ports[port] = true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.foreign, func(_ int, until time.Time) bool { return !until.After(now) })
	for port := range p.foreign {
		t.ports[port] = true
	}
	for login, o := range p.owners {
		if now.Sub(o.used) < p.b.times.PortIdle {
			t.logins[login] = true
		}
	}
	return t
}

// number finds or gives login's number in SQL.
func (p *ports) number(ctx context.Context, login string) (row portRow, err error) {
	now := time.Now()
	busy := p.taken(now)
	var loser string
	err = p.b.o.DB.Update(ctx, func(tx *sqldb.Tx) error {
		var err error
		loser = ""
		if gone, err := removed(tx, login, now); err != nil || gone {
			row = portRow{}
			return err
		}
		if row, err = p.own(tx, login); err != nil {
			return err
		}
		if row.port == 0 {
			if row, err = p.free(tx, busy); err != nil {
				return err
			}
			if row.port == 0 {
				if row, err = p.idle(tx, busy, now); err != nil || row.port == 0 {
					return err
				}
				loser = row.login
			}
			row.login, row.number, row.carried = login, max(row.number+1, now.UnixMilli()), now
		}
		row.used, row.until = now, now.Add(p.b.times.Lease)
		_, err = tx.Exec(`INSERT INTO chbroker_port (host, port, login, number, used, until, carried) VALUES (?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (host, port) DO UPDATE SET login = excluded.login, number = excluded.number, used = excluded.used,
			until = excluded.until, carried = excluded.carried`,
			p.b.o.Host, row.port, row.login, row.number, row.used, row.until, row.carried)
		return err
	})
	if err != nil {
		return portRow{}, fmt.Errorf("giving %s a port: %w", login, err)
	}
	if loser != "" {
		p.lose(loser, row.port)
		p.b.log.Info("a port changes its owner: all are given away", "port", row.port, "from", loser, "to", login)
	}
	return row, nil
}

// lose forgets that login had port.
func (p *ports) lose(login string, port int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if o := p.owners[login]; o != nil && o.port == port {
		o.port, o.retry = 0, time.Time{}
	}
}

const portColumns = `SELECT port, login, number, used, until, carried FROM chbroker_port WHERE host = ? `

func scanPort(r interface{ Scan(...any) error }) (row portRow, err error) {
	err = r.Scan(&row.port, &row.login, &row.number, &row.used, &row.until, &row.carried)
	if errors.Is(err, sql.ErrNoRows) {
		return portRow{}, nil
	}
	return row, err
}

// own is the number that login has, unless it lies outside the range or is somebody else's in the port map; then it is given up.
func (p *ports) own(tx *sqldb.Tx, login string) (portRow, error) {
	row, err := scanPort(tx.QueryRow(portColumns+`AND login = ?`, p.b.o.Host, login))
	if err != nil || row.port == 0 {
		return row, err
	}
	p.mu.Lock()
	_, foreign := p.foreign[row.port]
	p.mu.Unlock()
	if r := p.b.o.Ports; row.port >= r.First && row.port <= r.Last && !foreign {
		return row, nil
	}
	return portRow{}, p.giveUp(tx, row)
}

// giveUp takes a number from its login, within a transaction; the lease goes after the commit, or runs out by itself.
func (p *ports) giveUp(tx *sqldb.Tx, row portRow) error {
	if _, err := tx.Exec(`DELETE FROM chbroker_port WHERE host = ? AND port = ? AND login = ?`, p.b.o.Host, row.port, row.login); err != nil {
		return err
	}
	tx.AfterCommit(func() {
		p.b.work.start(func() {
			err := p.b.forAdmin(p.b.ctx, "releasing a lease", func(ctx context.Context) error {
				return p.b.guard.maps.Release(ctx, p.b.o.Host, row.lease())
			})
			if err != nil {
				p.b.log.Info("a lease stays in the port map until it runs out", "port", row.port, "login", row.login, "err", err)
			}
		})
	})
	return nil
}

// free is a number that nobody has: after the highest one given, as long as there is one, else in a gap.
func (p *ports) free(tx *sqldb.Tx, busy taken) (portRow, error) {
	r := p.b.o.Ports
	var given, highest int
	if err := tx.QueryRow(`SELECT count(*), coalesce(max(port), 0) FROM chbroker_port WHERE host = ? AND port BETWEEN ? AND ?`,
		p.b.o.Host, r.First, r.Last).Scan(&given, &highest); err != nil {
		return portRow{}, err
	}
	for port := max(highest+1, r.First); port <= r.Last; port++ {
		if !busy.ports[port] {
			return portRow{port: port}, nil
		}
	}
	if given > r.Last-r.First {
		return portRow{}, nil
	}
	rows, err := tx.Query(`SELECT port FROM chbroker_port WHERE host = ? AND port BETWEEN ? AND ? ORDER BY port`, p.b.o.Host, r.First, r.Last)
	if err != nil {
		return portRow{}, err
	}
	has := make(map[int]bool, given)
	for rows.Next() {
		var port int
		if err := rows.Scan(&port); err != nil {
			return portRow{}, err
		}
		has[port] = true
	}
	if err := rows.Err(); err != nil {
		return portRow{}, err
	}
	for port := r.First; port <= r.Last; port++ {
		if !has[port] && !busy.ports[port] {
			return portRow{port: port}, nil
		}
	}
	return portRow{}, nil
}

// idle is the number to be taken from its login when all are given away: the one that was used least recently, of those that no unexpired
// link carries if there is one. A number in use is nobody else's.
func (p *ports) idle(tx *sqldb.Tx, busy taken, now time.Time) (portRow, error) {
	r := p.b.o.Ports
	rows, err := tx.Query(portColumns+`AND port BETWEEN ? AND ? AND used < ? ORDER BY carried > ?, used`,
		p.b.o.Host, r.First, r.Last, now.Add(-p.b.times.PortIdle), now)
	if err != nil {
		return portRow{}, err
	}
	for rows.Next() {
		row, err := scanPort(rows)
		if err != nil {
			return portRow{}, err
		}
		if !busy.ports[row.port] && !busy.logins[row.login] {
			return row, errors.Join(rows.Close())
		}
	}
	return portRow{}, rows.Err()
}

// current is the port that login has now, without giving him one: following a link takes nothing from anybody.
func (p *ports) current(tx *sqldb.Tx, login string) (int, error) {
	p.mu.Lock()
	o := p.owners[login]
	if o != nil && o.port != 0 {
		port := p.use(login, time.Now()).port
		p.mu.Unlock()
		return port, nil
	}
	p.mu.Unlock()
	row, err := scanPort(tx.QueryRow(portColumns+`AND login = ?`, p.b.o.Host, login))
	if err != nil {
		return 0, err
	}
	if r := p.b.o.Ports; row.port < r.First || row.port > r.Last {
		return 0, nil
	}
	return row.port, nil
}

// carry notes, within the transaction that stores a link, until when the login's port is to stay his.
func (p *ports) carry(tx *sqldb.Tx, login string, port int, expires time.Time) error {
	p.mu.Lock()
	o := p.owners[login]
	known := o != nil && o.port == port && !o.carried.Before(expires)
	p.mu.Unlock()
	if known || port == 0 {
		return nil
	}
	carried := expires.Add(p.b.o.LinkLife / carrySlop)
	if _, err := tx.Exec(`UPDATE chbroker_port SET carried = max(carried, ?) WHERE host = ? AND port = ? AND login = ?`,
		carried, p.b.o.Host, port, login); err != nil {
		return fmt.Errorf("noting that a link carries port %d: %w", port, err)
	}
	tx.AfterCommit(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if o := p.owners[login]; o != nil && o.port == port && o.carried.Before(carried) {
			o.carried = carried
		}
	})
	return nil
}

// leases are all leases of this host that have not run out, as SQL has them.
func (p *ports) leases(ctx context.Context) ([]Lease, error) {
	var all []Lease
	err := p.b.o.DB.View(ctx, func(tx *sqldb.Tx) error {
		all = nil
		rows, err := tx.Query(portColumns+`AND until > ? ORDER BY port`, p.b.o.Host, time.Now())
		if err != nil {
			return err
		}
		for rows.Next() {
			row, err := scanPort(rows)
			if err != nil {
				return err
			}
			all = append(all, row.lease())
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("reading leases: %w", err)
	}
	return all, nil
}

// writeUsed brings the times of last use into SQL and forgets logins that have been idle for a day.
func (p *ports) writeUsed(ctx context.Context) error {
	now := time.Now()
	fresh := make(map[string]time.Time)
	p.mu.Lock()
	for login, o := range p.owners {
		switch {
		case o.choice != nil:
		case o.port != 0 && o.used.Sub(o.written) >= signEvery:
			fresh[login] = o.used
		case now.Sub(o.used) > day:
			delete(p.owners, login)
		}
	}
	p.mu.Unlock()
	if len(fresh) == 0 {
		return nil
	}
	err := p.b.o.DB.Update(ctx, func(tx *sqldb.Tx) error {
		for login, used := range fresh {
			if _, err := tx.Exec(`UPDATE chbroker_port SET used = max(used, ?) WHERE host = ? AND login = ?`, used, p.b.o.Host, login); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("noting the use of ports: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for login, used := range fresh {
		if o := p.owners[login]; o != nil && o.written.Before(used) {
			o.written = used
		}
	}
	return nil
}

func (p *ports) forgetLogin(login string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.owners, login)
}
