// Package octets reads and writes sizes as people do: 50MiB, 20MB, or plain octets.
package octets

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

var units = [...]struct {
	name string
	n    int64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}, {"", 1},
}

// Parse reads a size of whole units, in any case: 2GiB, 500 MB, 1024. The error says what would be right.
func Parse(s string) (int64, error) {
	for _, u := range units {
		if len(s) < len(u.name) || !strings.EqualFold(s[len(s)-len(u.name):], u.name) {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(s[:len(s)-len(u.name)]), 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64/u.n {
			break
		}
		return n * u.n, nil
	}
	return 0, errors.New("a size such as 50MiB")
}

// String writes a size in the largest unit that it is a whole number of, as Parse reads it.
func String(n int64) string {
	for i := 2; i >= 0; i-- {
		if u := units[i]; n > 0 && n%u.n == 0 {
			return fmt.Sprintf("%d%s", n/u.n, u.name)
		}
	}
	return strconv.FormatInt(n, 10)
}

// About writes about how much something is, for people to compare with what String writes: 512 octets, 9.6KiB, 21MiB.
func About(n int64) string {
	unit, size := "", float64(n)
	for _, u := range units[:3] {
		if size < 1000 { // rather 1MiB than 1000KiB
			break
		}
		unit, size = u.name, float64(n)/float64(u.n)
	}
	switch {
	case unit == "" && n == 1:
		return "1 octet"
	case unit == "":
		return fmt.Sprintf("%d octets", n)
	case size < 9.95:
		return strings.TrimSuffix(strconv.FormatFloat(size, 'f', 1, 64), ".0") + unit
	}
	return strconv.FormatFloat(size, 'f', 0, 64) + unit
}
