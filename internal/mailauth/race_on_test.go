//go:build race

package mailauth

// slowdown is by how much the race detector slows work down, on a machine that has other things to do as well.
const slowdown = 50
