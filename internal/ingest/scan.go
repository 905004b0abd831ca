package ingest

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"unicode/utf8"
)

// scanner walks over JSON text (RFC 8259). Its methods take the offset at which something begins and
// return the offset behind it. Below zero, the text is bad and fault says why; methods pass such an
// offset on, so that callers need to look only where they branch.
type scanner struct {
	text  []byte
	fault fault
}

// fault is where the text is bad and what is wrong. It is made into a SyntaxError at the end, since
// counting lines takes time.
type fault struct {
	offset  int
	message string
	wanted  bool // message says what was expected there
}

// failed is what scanner methods return for bad text.
const failed = -1

// maxDepth bounds how deeply arrays and objects may nest in values that are skipped.
const maxDepth = 1000

func (s *scanner) expected(offset int, what string) int {
	s.fault = fault{offset: offset, message: what, wanted: true}
	return failed
}

func (s *scanner) fail(offset int, message string) int {
	s.fault = fault{offset: offset, message: message}
	return failed
}

// at returns the byte at i, or 0 (which is nowhere valid) at the end of the text.
func (s *scanner) at(i int) byte {
	if uint(i) < uint(len(s.text)) {
		return s.text[i]
	}
	return 0
}

// space skips white space.
func (s *scanner) space(i int) int {
	if i < 0 || s.at(i) > ' ' {
		return i
	}
	return s.skipSpace(i)
}

func (s *scanner) skipSpace(i int) int {
	for i < len(s.text) {
		switch s.text[i] {
		case ' ', '\n', '\r', '\t':
			i++
		default:
			return i
		}
	}
	return i
}

// open steps into the array or object whose opening bracket is at i: to its first element, or behind its
// end if it has none.
func (s *scanner) open(i int, end byte) (next int, more bool) {
	i = s.space(i + 1)
	if s.at(i) == end {
		return i + 1, false
	}
	return i, true
}

// follow steps from behind an element to the next one, or behind the end of the array or object.
func (s *scanner) follow(i int, end byte) (next int, more bool) {
	if i < 0 {
		return i, false
	}
	i = s.space(i)
	switch s.at(i) {
	case ',':
		return s.space(i + 1), true
	case end:
		return i + 1, false
	}
	if end == '}' {
		return s.expected(i, "a comma or the end of the object"), false
	}
	return s.expected(i, "a comma or the end of the array"), false
}

// key skips a key, which begins at i, and the colon. It returns the key with its quotation marks and the
// offset of the value.
func (s *scanner) key(i int) (key span, value int) {
	if s.at(i) != '"' {
		return span{}, s.expected(i, "a key in quotation marks")
	}
	end := s.skipString(i)
	return span{i, end}, s.colon(end)
}

// colon skips the colon behind a key.
func (s *scanner) colon(i int) int {
	if i < 0 {
		return i
	}
	i = s.space(i)
	if s.at(i) != ':' {
		return s.expected(i, "a colon")
	}
	return s.space(i + 1)
}

// skipValue skips a value of any kind.
func (s *scanner) skipValue(i int) int { return s.skipNested(i, 1) }

func (s *scanner) skipNested(i, depth int) int {
	switch c := s.at(i); {
	case c == '"':
		return s.skipString(i)
	case c == '-' || isDigit(c):
		return s.skipNumber(i)
	case c == '{' || c == '[':
		if depth > maxDepth {
			return s.fail(i, fmt.Sprintf("values are nested more than %d deep", maxDepth))
		}
		if c == '{' {
			return s.skipObject(i, depth)
		}
		return s.skipArray(i, depth)
	case c == 't':
		return s.skipWord(i, "true")
	case c == 'f':
		return s.skipWord(i, "false")
	case c == 'n':
		return s.skipWord(i, "null")
	default:
		return s.expected(i, "a value")
	}
}

func (s *scanner) skipObject(i, depth int) int {
	i, more := s.open(i, '}')
	for more {
		_, value := s.key(i)
		if value < 0 {
			return value
		}
		i, more = s.follow(s.skipNested(value, depth+1), '}')
	}
	return i
}

func (s *scanner) skipArray(i, depth int) int {
	i, more := s.open(i, ']')
	for more {
		i, more = s.follow(s.skipNested(i, depth+1), ']')
	}
	return i
}

func (s *scanner) skipWord(i int, word string) int {
	if !s.hasPrefix(i, word) {
		return s.expected(i, "a value")
	}
	return i + len(word)
}

func (s *scanner) hasPrefix(i int, prefix string) bool {
	return len(s.text)-i >= len(prefix) && string(s.text[i:i+len(prefix)]) == prefix
}

// skipString skips the string whose opening quotation mark is at i.
func (s *scanner) skipString(i int) int {
	start := i
	i++
	for {
		if i = s.skipPlain(i); i >= len(s.text) {
			return s.expected(start, "a string that ends")
		}
		switch c := s.text[i]; {
		case c == '"':
			return i + 1
		case c == '\\':
			i = s.skipEscape(i)
		case c < ' ':
			return s.fail(i, "a control character in a string must be escaped")
		default:
			i = s.skipRunes(i)
		}
		if i < 0 {
			return i
		}
	}
}

// skipPlain skips the printable ASCII characters of a string, up to a quotation mark, a backslash, a
// control character or a byte above 0x7f. It looks at eight bytes at a time: in each expression below the
// top bit of a byte is set if that byte is one of those (exactly so for the lowest such byte, which is the
// one that counts; see "Determine if a word has a byte less than n" in S. E. Anderson's Bit Twiddling Hacks).
func (s *scanner) skipPlain(i int) int {
	const (
		ones = 0x0101010101010101
		tops = 0x8080808080808080
	)
	text := s.text
	for len(text)-i >= 8 {
		word := binary.LittleEndian.Uint64(text[i:])
		quote, backslash := word^ones*'"', word^ones*'\\'
		special := (quote-ones)&^quote | (backslash-ones)&^backslash | (word-ones*' ')&^word | word
		if special &= tops; special != 0 {
			return i + bits.TrailingZeros64(special)>>3
		}
		i += 8
	}
	for i < len(text) && text[i] >= ' ' && text[i] < utf8.RuneSelf && text[i] != '"' && text[i] != '\\' {
		i++
	}
	return i
}

// skipRunes skips characters outside ASCII, of which there is one at i.
func (s *scanner) skipRunes(i int) int {
	for i < len(s.text) && s.text[i] >= utf8.RuneSelf {
		r, size := utf8.DecodeRune(s.text[i:])
		if r == utf8.RuneError && size == 1 {
			return s.fail(i, fmt.Sprintf("byte 0x%02x is not valid UTF-8 here", s.text[i]))
		}
		i += size
	}
	return i
}

// skipEscape skips the escape sequence whose backslash is at i.
func (s *scanner) skipEscape(i int) int {
	switch s.at(i + 1) {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		for j := i + 2; j < i+6; j++ {
			if _, ok := hexDigit(s.at(j)); !ok {
				return s.expected(j, "a hexadecimal digit")
			}
		}
		return i + 6
	}
	return s.expected(i+1, `one of "\/bfnrtu behind the backslash`)
}

// syntaxError makes an error of the fault.
func (s *scanner) syntaxError() *SyntaxError {
	offset := min(s.fault.offset, len(s.text))
	line, start := 1, 0
	for i, b := range s.text[:offset] {
		if b == '\n' {
			line, start = line+1, i+1
		}
	}
	message := s.fault.message
	if s.fault.wanted {
		message = "expected " + message + ", found " + describeByte(s.text, offset)
	}
	return &SyntaxError{Offset: offset, Line: line, Column: offset - start + 1, Message: message}
}

func describeByte(text []byte, offset int) string {
	if offset >= len(text) {
		return "the end of the body"
	}
	if r, _ := utf8.DecodeRune(text[offset:]); r >= ' ' && r != utf8.RuneError {
		return fmt.Sprintf("%q", r)
	}
	return fmt.Sprintf("byte 0x%02x", text[offset])
}
