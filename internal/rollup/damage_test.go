package rollup

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/flopynet/collector/internal/column"
	"github.com/flopynet/collector/model"
)

// ints is a column of integers.
func ints(values ...int64) string { return string(column.AppendInts(nil, values)) }

// body returns a chunk of 5m points, without version and checksum.
func body(flags uint16, count, first, absent uint64, parts map[kind]string) []byte {
	for i := range parts {
		flags |= 1 << i
	}
	src := binary.BigEndian.AppendUint16([]byte{byte(model.Tier5m)}, flags)
	if flags&flagDecimals != 0 {
		src = append(src, 0)
	}
	for _, number := range []uint64{count - 1, first, absent} {
		src = binary.AppendUvarint(src, number)
	}
	for i := range kind(kinds) {
		if part, there := parts[i]; there {
			src = binary.AppendUvarint(src, uint64(len(part)))
		}
	}
	for i := range kind(kinds) {
		src = append(src, parts[i]...)
	}
	return src
}

// TestUnsound gives the decoder what the checksum would keep from it.
func TestUnsound(t *testing.T) {
	type columns = map[kind]string
	with := func(i kind, part string) columns {
		all := columns{
			kindCounts: ints(1, 1, 1), kindSums: "\x00\x00\xff", kindLasts: "\x00\xff", kindFirsts: "\x00\xff", kindMins: "\xff", kindMaxs: "\xff",
		}
		all[i] = part
		return all
	}
	const decimals = flagDecimals
	tests := []struct {
		name string
		src  []byte
		want string // of the error; "" if there is none
	}{
		{"sound", body(decimals, 3, 9, 0, with(kindMaxs, "\xff")), ""},
		{"nothing", nil, "too early"},
		{"raw", append([]byte{0}, body(0, 3, 9, 0, nil)[1:]...), "raw"},
		{"unknown flag", body(1<<15, 3, 9, 0, nil), "flags"},
		{"no exponent", []byte{1, decimals >> 8, 0}, "exponent"},
		{"exponent 13", []byte{1, decimals >> 8, 0, 13}, "exponent"},
		{"no count", []byte{1, 0, 0}, "too early"},
		{"too many points", body(decimals, MaxPoints+1, 9, 0, with(kindMaxs, "\xff")), "fit"},
		{"too late", body(decimals, 3, 1<<60, 0, with(kindMaxs, "\xff")), "fit"},
		{"too many absent", body(decimals, 3, 9, 1<<60, with(kindMaxs, "\xff")), "fit"},
		{"cut", body(decimals, 3, 9, 0, with(kindMaxs, ""))[:16], "bytes, but"},
		{"left over", append(body(decimals, 3, 9, 0, with(kindMaxs, "\xff")), 0), "bytes, but"},
		{"length too large", []byte{1, 0, 1, 0, 0, 0, 9}, "length of column 0"},
		{"starts are sound", body(decimals, 3, 9, 2, with(kindStarts, ints(9, 11, 13))), ""},
		{"starts, none absent", body(decimals, 3, 9, 0, with(kindStarts, ints(9, 10, 11))), "left over"},
		{"starts don't ascend", body(decimals, 3, 9, 2, with(kindStarts, ints(9, 9, 13))), "follows"},
		{"starts begin elsewhere", body(decimals, 3, 9, 2, with(kindStarts, ints(8, 9, 13))), "not from"},
		{"starts end elsewhere", body(decimals, 3, 9, 2, with(kindStarts, ints(9, 10, 14))), "not from"},
		{"starts are missing", body(decimals, 3, 9, 2, with(kindMaxs, "\xff")), "damaged column"},
		{"counts are cut", body(decimals, 3, 9, 0, with(kindCounts, "")), "damaged column"},
		{"counts are too long", body(decimals, 3, 9, 0, with(kindCounts, ints(1, 1, 1)+"x")), "left over"},
		{"negative count", body(decimals, 3, 9, 0, with(kindCounts, ints(1, -1, 1))), "negative"},
		{"more NaNs than samples", body(decimals, 3, 9, 0, with(kindNaNs, ints(0, 2, 0))), "negative"},
		{"negative NaNs", body(decimals, 3, 9, 0, with(kindNaNs, ints(0, -1, 0))), "negative"},
		{"stale is sound", body(decimals, 3, 9, 0, with(kindStale, "\x02")), ""},
		{"stale behind the end", body(decimals, 3, 9, 0, with(kindStale, "\x03")), "stale"},
		{"stale twice behind the end", body(decimals, 3, 9, 0, with(kindStale, "\x02\x00")), "stale"},
		{"stale is cut", body(decimals, 3, 9, 0, with(kindStale, "\x80")), "stale"},
		{"unit of times", body(decimals, 3, 9, 0, with(kindFirstTimes, "\x0a"+ints(1, 1, 1))), "unit"},
		{"no unit", body(decimals, 3, 9, 0, with(kindLastTimes, "")), "unit"},
		{"no first sum", body(decimals, 3, 9, 0, with(kindSums, "")), "too early"},
		{"method of sums", body(decimals, 3, 9, 0, with(kindSums, "\x00\x02\xff")), "prediction"},
		{"method of lasts", body(decimals, 3, 9, 0, with(kindLasts, "\x03\xff")), "prediction"},
		{"method of firsts", body(decimals, 3, 9, 0, with(kindFirsts, "")), "prediction"},
		{"patch is sound", body(decimals, 3, 9, 0, with(kindSums, "\x00\x00\xff\x09")), ""},
		{"patch behind the end", body(decimals, 3, 9, 0, with(kindSums, "\x00\x00\xff\x0d")), "patch"},
		{"patch of no kind", body(decimals, 3, 9, 0, with(kindSums, "\x00\x00\xff\x03")), "patch"},
		{"patch is cut", body(decimals, 3, 9, 0, with(kindSums, "\x00\x00\xff\x02")), "too early"},
		{"block is missing", body(decimals, 3, 9, 0, with(kindMins, "")), "too early"},
		{"block of parameter 57", body(decimals, 3, 9, 0, with(kindMins, "\x39")), "unknown"},
		{"block is cut", body(decimals, 3, 9, 0, with(kindMins, "\x08\x00\x00\x00")), "too early"},
		{"block without ones", body(decimals, 3, 9, 0, with(kindMins, "\x00\x00")), "too early"},
		{"block with two ones", body(decimals, 3, 9, 0, with(kindMins, "\x00\x03")), "too early"},
		{"block is too long", body(decimals, 3, 9, 0, with(kindMins, "\x00\x07x")), "left over"},
		{"outlier is sound", body(decimals, 3, 9, 0, with(kindMins, "\x40\x03\x00\x00\x04\x1f")), ""},
		{"outlier is missing", body(decimals, 3, 9, 0, with(kindMins, "\x40\x03\x00\x00\x04")), "too early"},
		{"reset is sound", body(decimals|flagResets, 3, 9, 0, with(kindResets, "\x0212345678")), ""},
		{"reset behind the end", body(decimals|flagResets, 3, 9, 0, with(kindResets, "\x0312345678")), "reset"},
		{"reset is cut", body(decimals|flagResets, 3, 9, 0, with(kindResets, "\x001234567")), "reset"},
		{"M2s are sound", body(decimals, 3, 9, 0, with(kindM2s, "\x01\xff")), ""},
		{"form of M2s", body(decimals, 3, 9, 0, with(kindM2s, "\x02\xff")), "M2s"},
		{"no M2s", body(decimals, 3, 9, 0, with(kindM2s, "")), "M2s"},
		{"plain without sums", body(0, 3, 9, 0, columns{kindCounts: ints(1, 1, 1)}), "damaged column"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, err := parse(test.src)
			if err == nil {
				err = c.Decode(dirty(), WantAll)
			}
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (!errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got %v, want something about %q", err, test.want)
			}
		})
	}
}

func TestUnsoundSketches(t *testing.T) {
	starts := ints(9, 11)
	const day = "\x04\x01\x00\x01\x00\x01\x00" // of two empty sketches
	for _, test := range []struct{ name, src, want string }{
		{"sound", "\x01\x09\x00" + day, ""},
		{"nothing", "", "too early"},
		{"no day", "\x01\x09\x00", "length of a day"},
		{"a day alone", "\x01\x09\x00\x00\x01\x00", "length"},
		{"an hour is missing", "\x01\x09\x00\x02\x01\x00\x01\x00", "length"},
		{"a day too long", "\x01\x09\x00\x05\x01\x00\x01\x00\x01\x00", "too large"},
		{"left over in a day", "\x01\x09\x00\x05\x01\x00\x01\x00\x01\x00\x00", "left over"},
		{"left over", "\x01\x09\x00" + day + "\x00", "left over"},
		{"two days", "\x01\x17\x00\x02\x01\x00\x01\x00\x02\x01\x00\x01\x00", ""},
		{"starts are sound", "\x01\x09\x01" + string(byte(len(starts))) + starts + day, ""},
		{"starts are missing", "\x01\x09\x01", "length of starts"},
		{"starts are too long", "\x01\x09\x01" + string(byte(len(starts)+1)) + starts + day, "left over"},
		{"starts end elsewhere", "\x01\x09\x02" + string(byte(len(starts))) + starts + day, "not from"},
	} {
		t.Run(test.name, func(t *testing.T) {
			switch _, err := parseSketches([]byte(test.src)); {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (!errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got %v, want something about %q", err, test.want)
			}
		})
	}
}
