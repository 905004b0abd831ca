package ingest

import (
	"bytes"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// span is a part of the body, [start, end). The zero span stands for an absent member.
type span struct{ start, end int }

func (p span) present() bool { return p.end > 0 }

// kind is the kind of a JSON value, told by its first byte.
type kind byte

const (
	kindAbsent kind = iota
	kindNull
	kindString
	kindNumber
	kindBool
	kindObject
	kindArray
)

// kindOf returns the kind of the value, which must be valid.
func (s *scanner) kindOf(value span) kind {
	if !value.present() {
		return kindAbsent
	}
	switch s.text[value.start] {
	case 'n':
		return kindNull
	case '"':
		return kindString
	case '{':
		return kindObject
	case '[':
		return kindArray
	case 't', 'f':
		return kindBool
	default:
		return kindNumber
	}
}

// raw returns the bytes of the value.
func (s *scanner) raw(value span) []byte { return s.text[value.start:value.end] }

// describe tells in words what was given.
func (s *scanner) describe(value span) string {
	switch s.kindOf(value) {
	case kindAbsent:
		return "missing"
	case kindObject:
		return "an object"
	case kindArray:
		return "an array"
	case kindString:
		return "the string " + clip(s.raw(value))
	case kindNumber:
		return "the number " + clip(s.raw(value))
	default:
		return string(s.raw(value))
	}
}

// maxQuoted is how many bytes of what was given a message repeats.
const maxQuoted = 64

// clip returns raw JSON for a message, shortened between characters if it is long.
func clip(raw []byte) string {
	if len(raw) <= maxQuoted {
		return string(raw)
	}
	end := maxQuoted
	for end > 0 && !utf8.RuneStart(raw[end]) {
		end--
	}
	return fmt.Sprintf("%s... (%d bytes)", raw[:end], len(raw))
}

// content returns the text of a string, given with its quotation marks. It is a part of the body unless
// the string has escapes; then it is appended to scratch, which is returned grown.
func content(raw, scratch []byte) (text, grown []byte) {
	inner := raw[1 : len(raw)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return inner, scratch
	}
	start := len(scratch)
	scratch = appendUnescaped(scratch, inner)
	return scratch[start:], scratch
}

// appendUnescaped appends the text that is meant by the inside of a valid string. A surrogate without its
// other half becomes U+FFFD, as in encoding/json.
func appendUnescaped(dst, inner []byte) []byte {
	for {
		i := bytes.IndexByte(inner, '\\')
		if i < 0 {
			return append(dst, inner...)
		}
		dst = append(dst, inner[:i]...)
		escape := inner[i+1]
		inner = inner[i+2:]
		if escape != 'u' {
			dst = append(dst, unescaped(escape))
			continue
		}
		r := hexRune(inner)
		inner = inner[4:]
		if utf16.IsSurrogate(r) {
			pair := utf8.RuneError
			if len(inner) >= 6 && inner[0] == '\\' && inner[1] == 'u' {
				pair = utf16.DecodeRune(r, hexRune(inner[2:]))
			}
			if r = pair; r != utf8.RuneError {
				inner = inner[6:]
			}
		}
		dst = utf8.AppendRune(dst, r)
	}
}

func unescaped(escape byte) byte {
	switch escape {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	default:
		return escape
	}
}

// hexRune reads the four hexadecimal digits at the front of text.
func hexRune(text []byte) rune {
	var r rune
	for _, b := range text[:4] {
		digit, _ := hexDigit(b)
		r = r<<4 | rune(digit)
	}
	return r
}

func hexDigit(b byte) (value byte, ok bool) {
	switch {
	case isDigit(b):
		return b - '0', true
	case b|0x20 >= 'a' && b|0x20 <= 'f':
		return b | 0x20 - 'a' + 10, true
	default:
		return 0, false
	}
}
