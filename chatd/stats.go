package chatd

import (
	"sync/atomic"

	"chmail/internal/netutil"
)

// counts are those of Stats.
type counts struct {
	readers, desks, terminals atomic.Int64
	messages, files           atomic.Uint64
}

// here counts somebody in, until gone is called.
func here(n *atomic.Int64) (gone func()) {
	n.Add(1)
	return func() { n.Add(-1) }
}

// event counts what has been said and kept.
func (c *counts) event(e *event) {
	switch e.Kind {
	case kindSay:
		c.messages.Add(1)
	case kindFile:
		c.files.Add(1)
	}
}

// Stats is who is connected at this moment, and what has been said since the beginning.
type Stats struct {
	Readers   int64 // pages of readers, on chat ports or the web port; a page may have opened both
	Desks     int64
	Terminals int64
	Ports     int // chat ports that listen
	Messages  uint64
	Files     uint64
	Conns     netutil.Stats // on all chat ports
}

// Stats counts who is connected, and what has been said.
func (s *Server) Stats() Stats {
	c := &s.crowd.counts
	return Stats{
		Readers: c.readers.Load(), Desks: c.desks.Load(), Terminals: c.terminals.Load(), Ports: len(s.ports.listening()),
		Messages: c.messages.Load(), Files: c.files.Load(), Conns: s.ports.server.Stats(),
	}
}
