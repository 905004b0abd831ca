package wal

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"

	"github.com/flopynet/collector/internal/doctest"
)

// sumHeader appends the checksum to what is to be a segment's header.
func sumHeader(b []byte) []byte {
	b = bytes.Clone(b)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// TestFormatExamples holds the codecs to the examples of docs/format.md.
func TestFormatExamples(t *testing.T) {
	h := header{segment: 2, previous: 1, previousLength: 1234, previousLast: 41}
	if got, want := appendHeader(nil, h), doctest.Example(t, "wal-segment-header"); !bytes.Equal(got, want) {
		t.Errorf("segment header is encoded as\n%x, documented as\n%x", got, want)
	}
	if got, err := decodeHeader(doctest.Example(t, "wal-segment-header"), 2); err != nil || got != h {
		t.Errorf("segment header is read as %+v, %v", got, err)
	}

	f := frame{segment: 2, first: 42, count: 3, synced: 48}
	example := doctest.Example(t, "wal-frame")
	if got := appendFrame(nil, f, []byte("payload")); !bytes.Equal(got, example) {
		t.Errorf("frame is encoded as\n%x, documented as\n%x", got, example)
	}
	got, err := decodeFrameHeader(example, 2, 48)
	if err != nil || got.first != 42 || got.last() != 44 || got.size() != int64(len(example)) {
		t.Fatalf("frame is read as %+v, %v", got, err)
	}
	if payload, err := got.checkPayload(example[frameHeader:]); err != nil || string(payload) != "payload" {
		t.Errorf("payload is read as %q, %v", payload, err)
	}
}

// TestEveryBitCounts flips each bit of a header and of a frame.
func TestEveryBitCounts(t *testing.T) {
	head := appendHeader(nil, header{segment: 2, previous: 1, previousLength: 1234, previousLast: 41})
	for bit := range 8 * len(head) {
		bad := bytes.Clone(head)
		bad[bit/8] ^= 1 << (bit % 8)
		if got, err := decodeHeader(bad, 2); err == nil {
			t.Errorf("segment header with bit %d flipped is read as %+v", bit, got)
		}
	}
	whole := appendFrame(nil, frame{segment: 2, first: 42, count: 3, synced: 48}, []byte("payload"))
	for bit := range 8 * len(whole) {
		bad := bytes.Clone(whole)
		bad[bit/8] ^= 1 << (bit % 8)
		f, err := decodeFrameHeader(bad, 2, 48)
		if err == nil {
			_, err = f.checkPayload(bad[frameHeader:])
		}
		if err == nil {
			t.Errorf("frame with bit %d flipped is read as %+v", bit, f)
		}
	}
}

func TestFrameHeaderMustMakeSense(t *testing.T) {
	good := frame{segment: 1, first: 1, count: 1, synced: 48}
	tests := []struct {
		name   string
		change func(f *frame)
		offset int64
	}{
		{"no LSN", func(f *frame) { f.count = 0 }, 48},
		{"LSN 0", func(f *frame) { f.first = 0 }, 48},
		{"LSNs that overflow", func(f *frame) { f.first, f.count = unknownLSN-1, 9 }, 48},
		{"durable beyond itself", func(f *frame) { f.synced = 49 }, 48},
		{"another segment", func(f *frame) { f.segment = 2 }, 48},
	}
	if _, err := decodeFrameHeader(appendFrame(nil, good, nil), 1, 48); err != nil {
		t.Fatal(err)
	}
	for _, test := range tests {
		f := good
		test.change(&f)
		if got, err := decodeFrameHeader(appendFrame(nil, f, nil), 1, test.offset); err == nil {
			t.Errorf("%s: read as %+v", test.name, got)
		}
	}
	if _, err := decodeFrameHeader(appendFrame(nil, good, make([]byte, MaxFrameBytes+1)), 1, 48); err == nil {
		t.Error("a frame beyond the limit is accepted")
	}
}

func TestSegmentNames(t *testing.T) {
	if name := segmentName(0x1f); name != "000000000000001f.wal" {
		t.Errorf("segment 31 is named %s", name)
	}
	if number, ok := parseSegmentName("000000000000001f.wal"); !ok || number != 0x1f {
		t.Errorf("read as %d, %v", number, ok)
	}
	for _, name := range []string{"", ".wal", "1f.wal", "000000000000001F.wal", "+00000000000001f.wal", "000000000000001f.log", "0000000000000000.wal"} {
		if number, ok := parseSegmentName(name); ok {
			t.Errorf("%q is taken for segment %d", name, number)
		}
	}
}
