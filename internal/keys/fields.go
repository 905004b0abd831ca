package keys

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/flopynet/collector/model"
)

// ErrBadKey is returned for bytes that are not a key of the kind asked for.
var ErrBadKey = errors.New("malformed key")

// A string ends with escape, terminator; an escape byte inside it is followed by escaped instead. Both
// orders are kept: "a" ends with 00 01, which sorts before 00 FF, with which "a\x00" goes on, and
// before "ab", since no byte sorts before 00.
const (
	escape     byte = 0x00
	terminator byte = 0x01
	escaped    byte = 0xff
)

const signBit = 1 << 63

func appendUint64(dst []byte, v uint64) []byte { return binary.BigEndian.AppendUint64(dst, v) }

func appendInt64(dst []byte, v int64) []byte { return appendUint64(dst, uint64(v)^signBit) }

func appendString(dst []byte, s string) []byte {
	for {
		before, after, found := strings.Cut(s, "\x00")
		dst = append(dst, before...)
		if !found {
			return append(dst, escape, terminator)
		}
		dst = append(dst, escape, escaped)
		s = after
	}
}

// fields cuts the fields of a key off its front. The first fault sticks and shows in end.
type fields struct {
	key  []byte // whole, for the message
	rest []byte
	bad  bool
}

func parse(key []byte, prefix byte) fields {
	if len(key) == 0 || key[0] != prefix {
		return fields{key: key, bad: true}
	}
	return fields{key: key, rest: key[1:]}
}

// take cuts n bytes, or returns nil.
func (f *fields) take(n int) []byte {
	if f.bad || len(f.rest) < n {
		f.bad = true
		return nil
	}
	taken := f.rest[:n]
	f.rest = f.rest[n:]
	return taken
}

func (f *fields) uint64() uint64 {
	if b := f.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (f *fields) int64() int64 { return int64(f.uint64() ^ signBit) }

func (f *fields) tier() model.Tier {
	if b := f.take(1); b != nil {
		return model.Tier(b[0])
	}
	return 0
}

func (f *fields) string() string {
	var unescaped []byte
	for {
		length := bytes.IndexByte(f.rest, escape)
		if f.bad || length < 0 || length+1 == len(f.rest) {
			f.bad = true
			return ""
		}
		part, follows := f.rest[:length], f.rest[length+1]
		f.rest = f.rest[length+2:]
		switch {
		case follows == terminator && unescaped == nil:
			return string(part)
		case follows == terminator:
			return string(append(unescaped, part...))
		case follows == escaped:
			unescaped = append(append(unescaped, part...), escape)
		default:
			f.bad = true
			return ""
		}
	}
}

// end reports a fault, or bytes that are left over, as ErrBadKey.
func (f *fields) end(kind string) error {
	if f.bad || len(f.rest) != 0 {
		return fmt.Errorf("%w: %x is not the key of a %s", ErrBadKey, f.key, kind)
	}
	return nil
}
