package pop3d

import (
	"iter"
	"math/bits"
)

// marks are the messages that a session has marked as deleted: one bit each, up to the highest that is marked, so that a session which
// deletes nothing keeps nothing.
type marks struct {
	set    []uint64
	count  int
	octets int64 // sum of the marked messages' sizes
}

func (m *marks) has(n int) bool {
	return n>>6 < len(m.set) && m.set[n>>6]&(1<<(n&63)) != 0
}

// add marks message n of that size; it must not be marked yet.
func (m *marks) add(n int, size int64) {
	if need := n>>6 + 1; need > len(m.set) {
		m.set = append(m.set, make([]uint64, need-len(m.set))...)
	}
	m.set[n>>6] |= 1 << (n & 63)
	m.count++
	m.octets += size
}

// all yields the marked numbers in ascending order.
func (m *marks) all() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i, word := range m.set {
			for ; word != 0; word &= word - 1 {
				if !yield(i<<6 + bits.TrailingZeros64(word)) {
					return
				}
			}
		}
	}
}
