package message

import "bytes"

// MaxLine is how many octets a line of mail may have, its line end not counted (RFC 5322 2.1.1, RFC 5321 4.5.3.1.6).
const MaxLine = 998

// Survey looks at the bytes of a message as they come by and notes what is the matter with its lines. The zero value is ready.
type Survey struct {
	Long bool // a line longer than MaxLine
	NUL  bool // an octet 0
	High bool // an octet above 127
	line int  // octets of the line so far
	cr   bool // the last octet was CR
}

// Write takes the next bytes. It never fails.
func (s *Survey) Write(p []byte) (int, error) {
	n := len(p)
	if !s.NUL && bytes.IndexByte(p, 0) >= 0 {
		s.NUL = true
	}
	if !s.High {
		s.High = !IsASCII(p)
	}
	for !s.Long && len(p) > 0 {
		// As long as a line end lies within reach, the last one in reach will do: lines before it were short enough.
		reach := p[:min(len(p), MaxLine+2-min(s.line, MaxLine+1))]
		nl := bytes.LastIndexByte(reach, '\n')
		if nl < 0 {
			s.line += len(reach)
			s.cr = reach[len(reach)-1] == '\r'
			// CR LF may be to come behind the last permitted octet.
			if s.line > MaxLine+1 || s.line > MaxLine && !s.cr {
				s.Long = true
			}
			p = p[len(reach):]
			continue
		}
		// At the end of what is in reach a bare LF may close a line that only CR LF could.
		if s.line+nl > MaxLine && bytes.IndexByte(reach, '\n') == nl {
			if nl > 0 {
				s.cr = reach[nl-1] == '\r'
			}
			s.Long = !s.cr
		}
		s.line, s.cr = 0, false
		p = p[nl+1:]
	}
	return n, nil
}

// IsASCII tells whether no octet is above 127. It looks at eight at a time.
func IsASCII(p []byte) bool {
	const high = 0x8080808080808080
	for len(p) >= 8 {
		v := uint64(p[0]) | uint64(p[1])<<8 | uint64(p[2])<<16 | uint64(p[3])<<24 |
			uint64(p[4])<<32 | uint64(p[5])<<40 | uint64(p[6])<<48 | uint64(p[7])<<56
		if v&high != 0 {
			return false
		}
		p = p[8:]
	}
	for _, c := range p {
		if c >= 0x80 {
			return false
		}
	}
	return true
}
