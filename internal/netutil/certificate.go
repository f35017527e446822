package netutil

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificateAge is how long a certificate is used before its files are looked at again.
const certificateAge = 10 * time.Second

// A Certificate is a certificate chain and its key in two PEM files. When they change, it changes, without a restart; while they do not
// fit together, the last good ones stay in use.
type Certificate struct {
	Log *slog.Logger // where a failed reload is told; nil: slog.Default(). Set before use

	cert, key string

	mu      sync.Mutex
	current *tls.Certificate
	state   [2]fileState
	looked  time.Time
	failed  [2]fileState // the state that was complained about
}

type fileState struct {
	mod  time.Time
	size int64
}

// LoadCertificate reads the chain and the key; an error names the file that is missing or what does not fit.
func LoadCertificate(cert, key string) (*Certificate, error) {
	c := &Certificate{cert: cert, key: key}
	state, err := c.stat()
	if err != nil {
		return nil, err
	}
	pair, err := c.load()
	if err != nil {
		return nil, err
	}
	c.current, c.state, c.looked = pair, state, time.Now()
	return c, nil
}

func (c *Certificate) load() (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return nil, fmt.Errorf("loading the certificate %s with the key %s: %w", c.cert, c.key, err)
	}
	return &pair, nil
}

func (c *Certificate) stat() (state [2]fileState, err error) {
	for i, name := range []string{c.cert, c.key} {
		st, err := os.Stat(name)
		if err != nil {
			return state, fmt.Errorf("loading a certificate: %w", err)
		}
		state[i] = fileState{st.ModTime(), st.Size()}
	}
	return state, nil
}

// GetCertificate is for tls.Config. Every ten seconds at most it looks whether the files have changed.
func (c *Certificate) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) < certificateAge {
		return c.current, nil
	}
	c.looked = time.Now()
	state, err := c.stat()
	if err == nil && state == c.state {
		return c.current, nil
	}
	var pair *tls.Certificate
	if err == nil {
		pair, err = c.load()
	}
	log := c.Log
	if log == nil {
		log = slog.Default()
	}
	if err != nil {
		if c.failed != state || state == ([2]fileState{}) {
			log.Error("the certificate's files changed but cannot be used; the last good one stays", "err", err)
			c.failed = state
		}
		return c.current, nil
	}
	c.current, c.state = pair, state
	log.Info("certificate reloaded", "cert", c.cert, "until", pair.Leaf.NotAfter)
	return c.current, nil
}
