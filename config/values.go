package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"chmail/internal/octets"
)

// Size is a number of octets. In the file: 50MiB, 20MB, or plain octets.
type Size int64

func parseSize(s string) (Size, error) {
	n, err := octets.Parse(s)
	return Size(n), err
}

// String is the largest unit that the size is a whole number of.
func (s Size) String() string { return octets.String(int64(s)) }

// Ports is a range of TCP ports, both ends included. In the file: 24000-24999.
type Ports struct{ First, Last int }

func parsePorts(s string) (Ports, error) {
	first, last, found := strings.Cut(s, "-")
	if !found {
		last = first
	}
	var p Ports
	var err1, err2 error
	p.First, err1 = strconv.Atoi(strings.TrimSpace(first))
	p.Last, err2 = strconv.Atoi(strings.TrimSpace(last))
	if err1 != nil || err2 != nil || p.First < 1 || p.Last > 65535 || p.First > p.Last {
		return Ports{}, errors.New("a range such as 24000-24999")
	}
	return p, nil
}

// String is the form of the file.
func (p Ports) String() string { return fmt.Sprintf("%d-%d", p.First, p.Last) }

// parseDuration reads 30s, 5m, 1h30m as Go writes them, and 30d.
func parseDuration(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.Atoi(days)
		if err == nil && n >= 0 && n <= 36500 {
			return time.Duration(n) * day, nil
		}
	} else if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return d, nil
	}
	return 0, errors.New("a duration such as 30s, 5m, 2h or 30d")
}

// formatDuration is the shortest form that parseDuration reads.
func formatDuration(d time.Duration) string {
	if d > 0 && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	s := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if t, ok := strings.CutSuffix(s, zero); ok {
			s = t + zero[:1]
		}
	}
	return s
}

// expand puts environment variables into a value: ${VAR}, and ${VAR:-x} for x where VAR is unset or empty. $${ stands for ${ itself. used tells whether
// the value then holds something that does not stand in the file. The error says what would be right and names no value.
func expand(s string, lookup func(string) (string, bool)) (out string, used bool, err error) {
	var b strings.Builder
	for {
		i := strings.Index(s, "${")
		if i < 0 {
			b.WriteString(s)
			return b.String(), used, nil
		}
		if i > 0 && s[i-1] == '$' {
			b.WriteString(s[:i-1] + "${")
			s = s[i+2:]
			continue
		}
		b.WriteString(s[:i])
		inner, rest, found := strings.Cut(s[i+2:], "}")
		if !found {
			return "", used, errors.New("has a ${ without its }; write ${VAR}, or $${ for the two characters themselves")
		}
		name, otherwise, hasDefault := strings.Cut(inner, ":-")
		if !isVariable(name) {
			return "", used, errors.New("has a ${…} that names no variable; write ${VAR} or ${VAR:-default}")
		}
		value, set := lookup(name)
		switch {
		case set && (value != "" || !hasDefault):
			used = true
		case hasDefault:
			value = otherwise
		default:
			return "", used, fmt.Errorf("needs the environment variable %s, which is not set; set it, or write ${%s:-default}", name, name)
		}
		b.WriteString(value)
		s = rest
	}
}

func isVariable(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; !(c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z' || i > 0 && c >= '0' && c <= '9') {
			return false
		}
	}
	return s != ""
}
