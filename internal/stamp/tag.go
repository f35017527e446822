package stamp

import "bytes"

// wholeTag takes a tag that begins and ends in b, where nearly all do, and returns its length; 0 when there is none. It does in one
// go what the states from tagOpen to unquoted do byte by byte for a tag that comes in pieces.
func (p *page) wholeTag(b []byte) int {
	i := 1
	if i < len(b) && b[i] == '/' {
		i++
	}
	if i >= len(b) || !isLetter(b[i]) {
		return 0
	}
	name, c := i, byte(0)
	for ; i < len(b); i++ {
		if c = b[i]; c <= '>' && (c == '>' || c == '/' || isBlank(c)) {
			break
		}
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if k := i - name; k < maxTagName {
			p.name[k] = c
		}
	}
	end := i + 1
	if i == len(b) || c != '>' {
		if end = tagEnd(b, i); end < 0 {
			return 0
		}
	}
	p.token, p.end = p.pos, name == 2
	p.n = min(i-name, maxTagName+1)
	p.pos += int64(end - 1)
	p.close()
	return end
}

// tagEnd returns the index behind the '>' that ends a tag whose name ends at i, or -1 when it is not in b.
func tagEnd(b []byte, i int) int {
	for i < len(b) {
		switch i = skipBlanks(b, i); {
		case i == len(b):
			return -1
		case b[i] == '>':
			return i + 1
		case b[i] == '=':
			i++
		}
		for i < len(b) && b[i] != '=' && b[i] != '>' && b[i] != '/' && !isBlank(b[i]) {
			i++
		}
		switch i = skipBlanks(b, i); {
		case i == len(b):
			return -1
		case b[i] == '/':
			i++
			continue
		case b[i] != '=':
			continue
		}
		switch i = skipBlanks(b, i+1); {
		case i == len(b):
			return -1
		case b[i] == '>':
		case b[i] == '"' || b[i] == '\'':
			n := bytes.IndexByte(b[i+1:], b[i])
			if n < 0 {
				return -1
			}
			i += n + 2
		default:
			for i < len(b) && b[i] != '>' && !isBlank(b[i]) {
				i++
			}
		}
	}
	return -1
}

func skipBlanks(b []byte, i int) int {
	for i < len(b) && isBlank(b[i]) {
		i++
	}
	return i
}
