package chbroker

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Keys of the maps. The braces are literal: they are the hash tag, so that whatever a script touches lies in one slot of a cluster.
const (
	presencePrefix = "ch:pres:{"
	portsPrefix    = "ch:ports:{"
	markPrefix     = "ch:mark:{"
	keySuffix      = "}"
)

// How long a command may take at the very most. Callers bring shorter deadlines of their own.
const (
	redisDial    = 500 * time.Millisecond
	redisIO      = time.Second
	redisConns   = 8
	redisBuffer  = 4 << 10 // octets each way and connection: our values are small
	markLife     = 5 * time.Minute
	redisBatch   = 200 // logins, or leases, sent together
	pipelineNone = -1  // no second pool for pipelines
)

// ErrRedisURL says that the URL of Redis cannot be read. The URL itself, which may carry a password, is in no error and no log.
var ErrRedisURL = errors.New("not a Redis URL; right would be redis://HOST:PORT/0 or rediss://USER:PASSWORD@HOST:PORT/0")

// Redis keeps both maps in Redis (R42), version 7.0 or later.
type Redis struct {
	c    *redis.Client
	mark string // key by which Check recognises that Redis still has what was written

	mu      sync.Mutex
	number  int64  // the last one that Check tried to write there
	written int64  // the last one of which Redis said that it is written; 0: none, or the last try failed
	run     string // what Redis calls its life since it was started; "" until it has said
}

var _ Maps = (*Redis)(nil)

// NewRedis prepares the maps at url, redis:// or rediss:// or unix://. It does not connect: the program starts without Redis. The library's own messages go to log at level debug.
func NewRedis(url string, log *slog.Logger) (*Redis, error) {
	o, err := redis.ParseURL(url)
	if err != nil {
		return nil, ErrRedisURL
	}
	if log == nil {
		log = slog.Default()
	}
	redis.SetLogger(redisLog{log})
	o.ContextTimeoutEnabled = true // without it, deadlines of contexts are ignored
	o.MaxRetries = -1              // the broker's guard decides whether to try again
	o.DialTimeout, o.DialerRetries = redisDial, 1
	o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = redisIO, redisIO, redisIO
	o.PoolSize, o.MaxActiveConns = redisConns, redisConns
	o.ReadBufferSize, o.WriteBufferSize, o.PipelinePoolSize = redisBuffer, redisBuffer, pipelineNone
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	o.DisableIdentity = true
	var id [8]byte
	rand.Read(id[:]) // never fails (it ends the program instead)
	return &Redis{c: redis.NewClient(o), mark: markPrefix + hex.EncodeToString(id[:]) + keySuffix}, nil
}

// redisLog receives what the library would print to standard error.
type redisLog struct{ log *slog.Logger }

// Printf is called by the library.
func (l redisLog) Printf(ctx context.Context, format string, v ...any) {
	l.log.DebugContext(ctx, "redis client", "said", fmt.Sprintf(format, v...))
}

func presenceKey(login string) string { return presencePrefix + login + keySuffix }
func portsKey(host string) string     { return portsPrefix + host + keySuffix }

// Put writes sightings, all places of a login at once.
func (r *Redis) Put(ctx context.Context, sightings []Sighting) error {
	if len(sightings) == 1 {
		s := sightings[0]
		args, err := putArgs(time.Now(), s.Place)
		if err != nil {
			return err
		}
		if err := putScript.Run(ctx, r.c, []string{presenceKey(s.Login)}, args...).Err(); err != nil {
			return fmt.Errorf("writing presence: %w", err)
		}
		return nil
	}
	byLogin := make(map[string][]Place)
	for _, s := range sightings {
		byLogin[s.Login] = append(byLogin[s.Login], s.Place)
	}
	logins := make([]string, 0, len(byLogin))
	for login := range byLogin {
		logins = append(logins, login)
	}
	for batch := range slices.Chunk(logins, redisBatch) {
		if err := r.putBatch(ctx, batch, byLogin); err != nil {
			return fmt.Errorf("writing presence of %d logins: %w", len(batch), err)
		}
	}
	return nil
}

func (r *Redis) putBatch(ctx context.Context, logins []string, places map[string][]Place) error {
	// A pipeline cannot fall back from EVALSHA to EVAL by itself.
	if err := putScript.Load(ctx, r.c).Err(); err != nil {
		return err
	}
	now := time.Now()
	_, err := r.c.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, login := range logins {
			args, err := putArgs(now, places[login]...)
			if err != nil {
				return err
			}
			putScript.EvalSha(ctx, p, []string{presenceKey(login)}, args...)
		}
		return nil
	})
	return err
}

func putArgs(now time.Time, places ...Place) ([]any, error) {
	n := now.Unix()
	args := make([]any, 0, 4+5*len(places))
	args = append(args, n, n+int64(skew/time.Second), n+int64(maxHorizon/time.Second), maxPlaces)
	for _, p := range places {
		v := p.value()
		raw, err := json.Marshal(v)
		if err != nil {
			return nil, fmt.Errorf("encoding presence: %w", err)
		}
		args = append(args, p.Field(), v.Seen, v.Until, v.Input, raw)
	}
	return args, nil
}

// Drop takes one field of a login away.
func (r *Redis) Drop(ctx context.Context, login, field string) error {
	if err := r.c.HDel(ctx, presenceKey(login), field).Err(); err != nil {
		return fmt.Errorf("dropping presence: %w", err)
	}
	return nil
}

// Places are the unexpired places of each login.
func (r *Redis) Places(ctx context.Context, logins []string) (map[string][]Place, error) {
	all := make(map[string][]Place, len(logins))
	now := time.Now()
	for batch := range slices.Chunk(logins, redisBatch) {
		replies := make([]*redis.MapStringStringCmd, len(batch))
		// The error of a single reply (a key of another type) is that login's; the pipeline's own is not of interest unless all failed.
		_, err := r.c.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i, login := range batch {
				replies[i] = p.HGetAll(ctx, presenceKey(login))
			}
			return nil
		})
		if err != nil && !isReply(err) {
			return nil, fmt.Errorf("reading presence: %w", err)
		}
		for i, login := range batch {
			if places := readPlaces(replies[i].Val(), now); len(places) > 0 {
				all[login] = places
			}
		}
	}
	return all, nil
}

// isReply tells an answer that Redis gave from a failure to get one.
func isReply(err error) bool {
	var reply redis.Error
	return errors.As(err, &reply)
}

func readPlaces(fields map[string]string, now time.Time) []Place {
	var places []Place
	for field, value := range fields {
		if p, ok := readPlace(field, value, now); ok {
			places = append(places, p)
		}
	}
	if len(places) > maxPlaces {
		slices.SortFunc(places, func(a, b Place) int { return b.Seen.Compare(a.Seen) })
		places = places[:maxPlaces]
	}
	return places
}

// Take takes or renews leases.
func (r *Redis) Take(ctx context.Context, host string, leases []Lease) (held []Lease, err error) {
	for batch := range slices.Chunk(leases, redisBatch) {
		now := time.Now()
		args := make([]any, 0, 2+5*len(batch))
		args = append(args, now.Unix(), now.Add(maxHorizon).Unix())
		for _, l := range batch {
			raw, err := json.Marshal(leaseValue{Login: l.Login, Number: l.Number, Until: l.Until.Unix()})
			if err != nil {
				return nil, fmt.Errorf("encoding a lease: %w", err)
			}
			args = append(args, l.Port, l.Login, l.Number, l.Until.Unix(), raw)
		}
		reply, err := takeScript.Run(ctx, r.c, []string{portsKey(host)}, args...).StringSlice()
		if err != nil {
			return nil, fmt.Errorf("taking leases: %w", err)
		}
		for i := 0; i+1 < len(reply); i += 2 {
			if l, ok := readField(reply[i], reply[i+1], now); ok {
				held = append(held, l)
			}
		}
	}
	return held, nil
}

func readField(field, value string, now time.Time) (Lease, bool) {
	port, err := strconv.Atoi(field)
	if err != nil {
		return Lease{}, false
	}
	return readLease(port, value, now)
}

// Release gives a lease back.
func (r *Redis) Release(ctx context.Context, host string, l Lease) error {
	if err := releaseScript.Run(ctx, r.c, []string{portsKey(host)}, l.Port, l.Login, l.Number).Err(); err != nil {
		return fmt.Errorf("releasing a lease: %w", err)
	}
	return nil
}

// Lease is the unexpired lease of a port.
func (r *Redis) Lease(ctx context.Context, host string, port int) (Lease, bool, error) {
	value, err := r.c.HGet(ctx, portsKey(host), strconv.Itoa(port)).Result()
	if errors.Is(err, redis.Nil) {
		return Lease{}, false, nil
	}
	if err != nil {
		return Lease{}, false, fmt.Errorf("reading a lease: %w", err)
	}
	l, ok := readLease(port, value, time.Now())
	return l, ok, nil
}

// Leases are all unexpired leases of a host.
func (r *Redis) Leases(ctx context.Context, host string) ([]Lease, error) {
	fields, err := r.c.HGetAll(ctx, portsKey(host)).Result()
	if err != nil {
		return nil, fmt.Errorf("reading leases: %w", err)
	}
	var all []Lease
	now := time.Now()
	for field, value := range fields {
		if l, ok := readField(field, value, now); ok {
			all = append(all, l)
		}
	}
	slices.SortFunc(all, func(a, b Lease) int { return cmp.Compare(a.Port, b.Port) })
	return all, nil
}

// Check looks for the number that the last Check left, and leaves the next one. A Redis that was emptied or replaced has none, one that came back from
// an older snapshot has an older one. One that was started anew since has lost what was written after its last snapshot, whatever number
// that holds. When the last Check failed, nobody knows what happened meanwhile: not kept.
func (r *Redis) Check(ctx context.Context) (kept bool, err error) {
	r.mu.Lock()
	r.number++
	number, written, run := r.number, r.written, r.run
	r.written = 0
	r.mu.Unlock()
	var old *redis.StatusCmd
	var info *redis.StringCmd
	_, err = r.c.Pipelined(ctx, func(p redis.Pipeliner) error {
		old = p.SetArgs(ctx, r.mark, number, redis.SetArgs{TTL: markLife, Get: true})
		info = p.Info(ctx, "server")
		return nil
	})
	if err != nil && !isReply(err) {
		return false, fmt.Errorf("asking Redis: %w", err)
	}
	if err := old.Err(); err != nil && !errors.Is(err, redis.Nil) {
		return false, fmt.Errorf("asking Redis: %w", err)
	}
	now := run
	if info.Err() == nil { // a user who may not ask has the number alone
		now = runOf(info.Val())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.written, r.run = number, now
	return written != 0 && old.Val() == strconv.FormatInt(written, 10) && now == run, nil
}

// runOf is the run_id that INFO tells: another one after each start of Redis.
func runOf(info string) string {
	_, rest, _ := strings.Cut(info, "run_id:")
	id, _, _ := strings.Cut(rest, "\r\n")
	return id
}

// Close ends the connections; again, it does nothing.
func (r *Redis) Close() error {
	if err := r.c.Close(); err != nil && !errors.Is(err, redis.ErrClosed) {
		return fmt.Errorf("closing Redis: %w", err)
	}
	return nil
}
