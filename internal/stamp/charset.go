package stamp

import (
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
)

// charset is what can be written into a text.
type charset struct {
	enc     encoding.Encoding // nil: ASCII only
	utf8    bool
	shifted bool                // ISO 2022: what bytes mean depends on escapes before them
	strict  func(s string) bool // whether what was encoded belongs to it, where the encoder knows more than other readers do; nil: all does
}

// charsetOf returns the charset of a name in lower case; false for one in which ASCII text is no ASCII, or of which nothing is known (UTF-16, UTF-7, EBCDIC …).
func charsetOf(name string) (charset, bool) {
	name = strings.ReplaceAll(name, "_", "-")
	switch name {
	case "", "us-ascii", "ascii", "ansi-x3.4-1968", "iso646-us", "646":
		return charset{}, true
	case "utf-8", "utf8", "unicode-1-1-utf-8", "utf-8-mac", "cp65001":
		return charset{utf8: true}, true
	case "gb2312", "euc-cn", "gb-2312-80", "csgb2312":
		return charset{enc: simplifiedchinese.GBK, strict: upper94}, true
	case "gbk", "cp936", "windows-936", "ms936", "x-gbk":
		return charset{enc: simplifiedchinese.GBK}, true
	case "gb18030":
		return charset{enc: simplifiedchinese.GB18030}, true
	case "big5", "big-5", "cn-big5", "x-x-big5", "csbig5":
		return charset{enc: traditionalchinese.Big5}, true
	case "big5-hkscs": // the encoder knows no more than Big5
		return charset{enc: traditionalchinese.Big5}, true
	case "euc-kr", "ks-c-5601-1987", "ksc5601", "ks-c-5601", "cseuckr", "korean":
		return charset{enc: korean.EUCKR, strict: upper94}, true
	case "cp949", "windows-949", "uhc", "ms949":
		return charset{enc: korean.EUCKR}, true
	case "euc-jp", "x-euc-jp", "eucjp":
		return charset{enc: japanese.EUCJP, strict: eucJP}, true
	case "shift-jis", "shiftjis", "sjis", "x-sjis", "ms-kanji":
		return charset{enc: japanese.ShiftJIS, strict: shiftJIS}, true
	case "cp932", "ms932", "windows-31j":
		return charset{enc: japanese.ShiftJIS}, true
	case "iso-2022-jp", "csiso2022jp":
		return charset{enc: japanese.ISO2022JP, shifted: true, strict: iso2022JP}, true
	case "iso-2022-jp-1", "iso-2022-jp-2", "iso-2022-jp-3", "iso-2022-jp-ms", "cp50220", "cp50221", "iso-2022-kr", "iso-2022-cn", "iso-2022-cn-ext":
		return charset{shifted: true}, true
	}
	enc := oneByte(name)
	return charset{enc: enc}, enc != nil
}

// oneByte returns the charset in which every character is one octet, nil for none.
func oneByte(name string) encoding.Encoding {
	switch name {
	case "latin1", "l1", "iso8859-1", "cp819":
		return charmap.ISO8859_1
	case "latin2", "l2":
		return charmap.ISO8859_2
	case "latin9", "iso-8859-15", "iso8859-15":
		return charmap.ISO8859_15
	case "koi8-r", "koi8r":
		return charmap.KOI8R
	case "koi8-u":
		return charmap.KOI8U
	case "tis-620", "windows-874", "iso-8859-11":
		return charmap.Windows874
	case "macintosh", "x-macintosh", "macroman", "x-mac-roman":
		return charmap.Macintosh
	}
	if page, ok := strings.CutPrefix(name, "iso-8859-"); ok {
		page = strings.TrimSuffix(strings.TrimSuffix(page, "-i"), "-e") // the direction of Hebrew and Arabic is the reader's business
		return iso8859(page)
	}
	for _, prefix := range [...]string{"windows-", "cp", "ibm", "x-cp"} {
		if page, ok := strings.CutPrefix(name, prefix); ok {
			return codePage(page)
		}
	}
	return nil
}

func iso8859(part string) encoding.Encoding {
	switch part {
	case "1":
		return charmap.ISO8859_1
	case "2":
		return charmap.ISO8859_2
	case "3":
		return charmap.ISO8859_3
	case "4":
		return charmap.ISO8859_4
	case "5":
		return charmap.ISO8859_5
	case "6":
		return charmap.ISO8859_6
	case "7":
		return charmap.ISO8859_7
	case "8":
		return charmap.ISO8859_8
	case "9":
		return charmap.ISO8859_9
	case "10":
		return charmap.ISO8859_10
	case "13":
		return charmap.ISO8859_13
	case "14":
		return charmap.ISO8859_14
	case "16":
		return charmap.ISO8859_16
	}
	return nil
}

func codePage(number string) encoding.Encoding {
	switch number {
	case "1250":
		return charmap.Windows1250
	case "1251":
		return charmap.Windows1251
	case "1252":
		return charmap.Windows1252
	case "1253":
		return charmap.Windows1253
	case "1254":
		return charmap.Windows1254
	case "1255":
		return charmap.Windows1255
	case "1256":
		return charmap.Windows1256
	case "1257":
		return charmap.Windows1257
	case "1258":
		return charmap.Windows1258
	case "437":
		return charmap.CodePage437
	case "850":
		return charmap.CodePage850
	case "852":
		return charmap.CodePage852
	case "866":
		return charmap.CodePage866
	}
	return nil
}

// encode writes text in the charset; false when it cannot be.
func (c charset) encode(text string) (string, bool) {
	switch {
	case isASCII(text):
		return text, true
	case c.utf8:
		return text, true
	case c.enc == nil:
		return "", false
	}
	s, err := c.enc.NewEncoder().String(text)
	if err != nil {
		return "", false
	}
	return s, c.strict == nil || c.strict(s)
}

// upper94 tells a text in which of two octets both are from 0xA1 on: GB 2312 and KS X 1001 without what Windows added.
func upper94(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			if i+1 == len(s) || s[i] < 0xa1 || s[i+1] < 0xa1 {
				return false
			}
			i++
		}
	}
	return true
}

// jisRow tells whether JIS X 0208 has a row; NEC and IBM put characters of their own into others.
func jisRow(row byte) bool { return row >= 1 && row <= 8 || row >= 16 && row <= 84 }

// eucJP tells a text without JIS X 0212 and the vendors' rows.
func eucJP(s string) bool {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c < 0x80:
		case c == 0x8e: // a katakana of half width
			i++
		case !jisRow(c - 0xa0):
			return false
		default:
			i++
		}
	}
	return true
}

// shiftJIS tells a text without the vendors' rows.
func shiftJIS(s string) bool {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c < 0x80, c >= 0xa1 && c <= 0xdf:
		case c >= 0x81 && c <= 0x84, c >= 0x88 && c <= 0x9f, c >= 0xe0 && c <= 0xea:
			i++
		default:
			return false
		}
	}
	return true
}

// iso2022JP tells a text of RFC 1468: ASCII and JIS X 0208 alone.
func iso2022JP(s string) bool {
	two := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == 0x1b:
			if i+2 >= len(s) || s[i:i+3] != "\x1b$B" && s[i:i+3] != "\x1b(B" {
				return false
			}
			two = s[i+1] == '$'
			i += 2
		case two:
			if !jisRow(s[i] - 0x20) {
				return false
			}
			i++
		}
	}
	return true
}

// shifts follows the escapes of an ISO 2022 text that comes by in pieces: where bytes are ASCII, and where they are something else that looks like it.
type shifts struct {
	out   bool // shifted out (SO), as Korean and Chinese do
	away  bool // an escape has named another set than ASCII
	esc   int  // octets of an escape so far
	inter byte // the first octet behind ESC
}

// plain tells whether the next byte, were it put in here, would be ASCII.
func (s *shifts) plain() bool { return !s.out && !s.away && s.esc == 0 }

// mask returns p with everything that is no ASCII covered by a letter, line ends and lengths as they are.
func (s *shifts) mask(dst, p []byte) []byte {
	const cover = 'x'
	for _, c := range p {
		switch {
		case s.esc > 0:
			s.escape(c)
			c = cover
		case c == 0x1b:
			s.esc, s.inter = 1, 0
			c = cover
		case c == 0x0e || c == 0x0f:
			s.out = c == 0x0e
			c = cover
		case c == '\n' || c == '\r':
		case s.out || s.away:
			c = cover
		}
		dst = append(dst, c)
	}
	return dst
}

// escape takes an octet behind ESC: intermediates, then a final one (ECMA-35 13.2). Those that name the set of SO or SS2 change nothing by themselves.
func (s *shifts) escape(c byte) {
	if s.esc == 1 {
		s.inter = c
	}
	if s.esc++; c >= 0x20 && c <= 0x2f && s.esc <= 5 {
		return
	}
	switch {
	case s.inter == '(':
		s.away = c != 'B'
	case s.inter == '$' && s.esc == 3: // ESC $ @, ESC $ B, ESC $ A
		s.away = true
	case s.inter == '$':
		// ESC $ ( D and such change the set at once; ESC $ ) C, ESC $ * H, ESC $ + I only name one that SO or SS2 brings in.
		s.away = s.away || c != 'C' && c != 'A' && c != 'G' && c != 'H' && c != 'I' && c != 'E'
	}
	s.esc = 0
}
