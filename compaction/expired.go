package compaction

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
)

// ErrCorrupt is returned for stored bytes of this package that are not what was written.
var ErrCorrupt = errors.New("damaged maintenance state")

// expiredVersion is the first byte of an encoded Expired.
const expiredVersion = 1

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Expired records up to which time raw samples were dropped for good, so that what is left of these days
// is never rolled up again and nothing is written to them, whatever the policy becomes. The zero value
// says that nothing was. A value doesn't change: Note and Prune return another.
//
// Which samples a drop took hangs on the patterns of the policy's rules, not on its durations. So there is
// one entry for each list of patterns under which something was dropped. Encoded:
//
//	+---------+---------------------+
//	| version | entries             |  1 byte, which is 1; unsigned varint
//	+---------+---------------------+
//	| rules                         |  for each entry: unsigned varint
//	| match, source                 |  for each rule: two strings, each behind its length as an unsigned varint
//	| through                       |  for the default and each rule: nanoseconds since the epoch, unsigned varint
//	+-------------------------------+
//	| CRC32C of everything before   |  4 bytes, big-endian
//	+-------------------------------+
type Expired struct {
	drops []drop
}

// drop is what was dropped under one list of patterns.
type drop struct {
	patterns []pattern
	through  []int64 // by class; 0: nothing of it was dropped
}

// pattern is what selects the series of a rule.
type pattern struct{ match, source string }

// Note returns e with the raw samples before through, in nanoseconds since the epoch, of a class of the
// policy recorded as dropped.
func (e *Expired) Note(p Policy, class int, through int64) *Expired {
	at := slices.IndexFunc(e.drops, func(d drop) bool { return d.isOf(p) })
	if through <= 0 || at >= 0 && e.drops[at].through[class] >= through {
		return e
	}
	drops := slices.Clone(e.drops)
	if at < 0 {
		at = len(drops)
		added := drop{through: make([]int64, p.Classes())}
		for _, rule := range p.Rules {
			added.patterns = append(added.patterns, pattern{rule.Match, rule.Source})
		}
		drops = append(drops, added)
	}
	drops[at].through = slices.Clone(drops[at].through)
	drops[at].through[class] = through
	return &Expired{drops: drops}
}

// isOf reports whether the policy divides series into the classes of d.
func (d drop) isOf(p Policy) bool {
	return slices.EqualFunc(d.patterns, p.Rules, func(a pattern, rule Rule) bool {
		return a.match == rule.Match && a.source == rule.Source
	})
}

// Through returns the time before which raw samples of this metric from this source were dropped, under
// whichever policy went furthest; 0: none were.
func (e *Expired) Through(name, source string) int64 {
	through := int64(0)
	for _, d := range e.drops {
		through = max(through, d.through[d.classOf(name, source)])
	}
	return through
}

func (d drop) classOf(name, source string) int {
	for i := range d.patterns {
		if selects(d.patterns[i].match, d.patterns[i].source, name, source) {
			return i + 1
		}
	}
	return 0
}

// Prune returns e without the entries that say nothing about times from before on.
func (e *Expired) Prune(before int64) *Expired {
	isOld := func(d drop) bool { return slices.Max(d.through) <= before }
	if !slices.ContainsFunc(e.drops, isOld) {
		return e
	}
	return &Expired{drops: slices.DeleteFunc(slices.Clone(e.drops), isOld)}
}

// AppendBinary appends the encoding of e.
func (e *Expired) AppendBinary(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, expiredVersion)
	dst = binary.AppendUvarint(dst, uint64(len(e.drops)))
	for _, d := range e.drops {
		dst = binary.AppendUvarint(dst, uint64(len(d.patterns)))
		for _, p := range d.patterns {
			dst = appendString(appendString(dst, p.match), p.source)
		}
		for _, through := range d.through {
			dst = binary.AppendUvarint(dst, uint64(through))
		}
	}
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// ParseExpired is the inverse of AppendBinary. Its errors are ErrCorrupt.
func ParseExpired(encoded []byte) (*Expired, error) {
	if len(encoded) < 4 {
		return nil, fmt.Errorf("%w: what was dropped is cut short at %d bytes", ErrCorrupt, len(encoded))
	}
	body, sum := encoded[:len(encoded)-4], binary.BigEndian.Uint32(encoded[len(encoded)-4:])
	if crc32.Checksum(body, castagnoli) != sum {
		return nil, fmt.Errorf("%w: what was dropped has a wrong checksum", ErrCorrupt)
	}
	if len(body) == 0 || body[0] != expiredVersion {
		return nil, fmt.Errorf("%w: what was dropped is not of version %d, the only one known", ErrCorrupt, expiredVersion)
	}
	f := fields{rest: body[1:]}
	e := &Expired{}
	for range f.count() {
		var d drop
		for range f.count() {
			d.patterns = append(d.patterns, pattern{f.text(), f.text()})
		}
		for range len(d.patterns) + 1 {
			d.through = append(d.through, int64(f.number()))
		}
		if f.bad || slices.Min(d.through) < 0 {
			return nil, fmt.Errorf("%w: entry %d of what was dropped makes no sense", ErrCorrupt, len(e.drops))
		}
		e.drops = append(e.drops, d)
	}
	if f.bad || len(f.rest) > 0 {
		return nil, fmt.Errorf("%w: what was dropped has bytes behind its end", ErrCorrupt)
	}
	return e, nil
}

// fields cuts the fields of an encoding off its front. The first fault sticks; what is read behind it is
// zero.
type fields struct {
	rest []byte
	bad  bool
}

func (f *fields) number() uint64 {
	n, width := binary.Uvarint(f.rest)
	if f.bad || width <= 0 {
		f.bad = true
		return 0
	}
	f.rest = f.rest[width:]
	return n
}

// count reads a number of things, each of which takes a byte at least.
func (f *fields) count() int {
	n := f.number()
	if n > uint64(len(f.rest)) {
		f.bad = true
		return 0
	}
	return int(n)
}

func (f *fields) text() string {
	n := f.count()
	s := string(f.rest[:n])
	f.rest = f.rest[n:]
	return s
}

// Uniform reports whether all drops took all series alike.
func (e *Expired) Uniform() bool {
	return !slices.ContainsFunc(e.drops, func(d drop) bool { return len(d.patterns) > 0 })
}

// Newest returns the time before which raw samples of some series were dropped; 0: of none.
func (e *Expired) Newest() int64 {
	newest := int64(0)
	for _, d := range e.drops {
		newest = max(newest, slices.Max(d.through))
	}
	return newest
}
