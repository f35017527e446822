package account

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/norm"
)

// ErrWeakPassword is wrapped when a new password is refused; the text says why and never holds it.
var ErrWeakPassword = errors.New("this password cannot be used")

// ErrBadName is wrapped when a display name is refused.
var ErrBadName = errors.New("this name cannot be used")

const (
	minPassword = 6    // characters; what protects a short one are the growing delays
	maxPassword = 1024 // octets
	maxName     = 200  // octets
)

// prepare brings a password into the form that is hashed, so that it is the same typed on any keyboard: RFC 8265 4.2 (OpaqueString:
// every space is U+0020, NFC, case kept, no control characters), which replaces the SASLprep of RFC 4616.
func prepare(password string) (string, error) {
	if len(password) > maxPassword {
		return "", fmt.Errorf("%w: longer than %d octets", ErrWeakPassword, maxPassword)
	}
	if plainASCII(password) {
		return password, nil
	}
	p, err := precis.OpaqueString.String(password)
	if err != nil || !utf8.ValidString(password) {
		return "", fmt.Errorf("%w: it holds a control character, or what is no character at all", ErrWeakPassword)
	}
	return p, nil
}

// plainASCII tells whether the profile changes nothing.
func plainASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return s != ""
}

// acceptable checks a new password of login and returns it prepared.
func acceptable(login, password string) (string, error) {
	if password == "" {
		return "", fmt.Errorf("%w: it is empty", ErrWeakPassword)
	}
	p, err := prepare(password)
	if err != nil {
		return "", err
	}
	local, _, _ := strings.Cut(login, "@")
	switch {
	case utf8.RuneCountInString(p) < minPassword:
		return "", fmt.Errorf("%w: fewer than %d characters", ErrWeakPassword, minPassword)
	case strings.EqualFold(p, login) || strings.EqualFold(p, local):
		return "", fmt.Errorf("%w: it is the login itself", ErrWeakPassword)
	}
	return p, nil
}

// displayName checks a display name and brings it into NFC. Empty is no name.
func displayName(name string) (string, error) {
	name = strings.TrimSpace(norm.NFC.String(name))
	switch {
	case len(name) > maxName:
		return "", fmt.Errorf("%w: longer than %d octets", ErrBadName, maxName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unprintable):
		return "", fmt.Errorf("%w: it holds a control character", ErrBadName)
	}
	return name, nil
}

// unprintable: controls could end a header line; format characters, but for the joiners that some scripts write with, let a name pose as another.
func unprintable(r rune) bool {
	const zeroWidthNonJoiner, zeroWidthJoiner = '\u200c', '\u200d'
	return r != zeroWidthJoiner && r != zeroWidthNonJoiner && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}
