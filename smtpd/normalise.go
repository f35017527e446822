package smtpd

import "io"

// A normaliser makes CRLF of every line end: of a bare LF, of a bare CR, and of several CRs before one LF (a CRLF that was translated
// twice). What it reads must end with one.
type normaliser struct {
	r   io.Reader
	buf []byte
	out []byte // ready to be given
	cr  bool   // CRs came, and not yet what follows them
	err error
}

func newNormaliser(r io.Reader) *normaliser { return &normaliser{r: r, buf: make([]byte, 8<<10)} }

func (m *normaliser) Read(p []byte) (int, error) {
	for len(m.out) == 0 {
		if m.err != nil {
			return 0, m.err
		}
		m.fill()
	}
	n := copy(p, m.out)
	m.out = m.out[n:]
	return n, nil
}

func (m *normaliser) fill() {
	n, err := m.r.Read(m.buf)
	out := make([]byte, 0, n+n/16+4)
	end := func() {
		out = append(out, '\r', '\n')
		m.cr = false
	}
	for _, c := range m.buf[:n] {
		switch {
		case c == '\r':
			m.cr = true
		case c == '\n':
			end()
		default:
			if m.cr {
				end()
			}
			out = append(out, c)
		}
	}
	m.out, m.err = out, err
}
