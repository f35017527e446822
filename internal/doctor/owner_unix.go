//go:build unix

package doctor

import (
	"io/fs"
	"syscall"
)

// sameOwner tells whether two files belong to one user; true where that is not known.
func sameOwner(a, b fs.FileInfo) bool {
	x, ok := a.Sys().(*syscall.Stat_t)
	y, ok2 := b.Sys().(*syscall.Stat_t)
	return !ok || !ok2 || x.Uid == y.Uid
}
