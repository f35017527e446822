//go:build unix

package doctor

import (
	"io/fs"
	"os"
	"syscall"
)

// sameOwner tells whether two files belong to one user; true where that is not known.
func sameOwner(a, b fs.FileInfo) bool {
	x, ok := a.Sys().(*syscall.Stat_t)
	y, ok2 := b.Sys().(*syscall.Stat_t)
	return !ok || !ok2 || x.Uid == y.Uid
}

// ours tells whether a file belongs to the user whom this runs as.
func ours(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}
