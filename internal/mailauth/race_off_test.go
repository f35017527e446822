//go:build !race

package mailauth

// slowdown is by how much the race detector slows work down.
const slowdown = 1
