package engine

import (
	"bytes"
	"errors"
	"testing"

	"github.com/flopynet/collector/internal/doctest"
)

func TestCheckpointExample(t *testing.T) {
	want := doctest.Example(t, "checkpoint")
	meta := checkpointMeta{LSN: 42, Defined: 301, Accepted: 10_000}
	if got := encodeCheckpoint(meta); !bytes.Equal(got, want) {
		t.Fatalf("%+v is encoded as %x, the document says %x", meta, got, want)
	}
	got, err := decodeCheckpoint(want)
	if err != nil || got != meta {
		t.Fatalf("the example is decoded as %+v, %v", got, err)
	}
	for bit := range 8 * len(want) {
		damaged := bytes.Clone(want)
		damaged[bit/8] ^= 1 << (bit % 8)
		if _, err := decodeCheckpoint(damaged); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("with bit %d flipped the error is %v", bit, err)
		}
	}
}

func TestPartitionStateExample(t *testing.T) {
	want := doctest.Example(t, "partition-state")
	meta := partitionMeta{RolledThrough: 1_728_021_600_000_000_000, Flushed: 42, Compacted: 40,
		Stored: storedCount{Known: true, Samples: 1000, Bytes: 2000, Oldest: 1_728_000_000_000_000_000}}
	if got := encodePartitionMeta(meta); !bytes.Equal(got, want) {
		t.Fatalf("%+v is encoded as %x, the document says %x", meta, got, want)
	}
	if got, err := decodePartitionMeta(want); err != nil || got != meta {
		t.Fatalf("the example is decoded as %+v, %v", got, err)
	}
	if got, err := decodePartitionMeta([]byte{0}); err != nil || got.Flushed <= got.Compacted {
		t.Fatalf("the bare state is decoded as %+v, %v", got, err)
	}
	for length := range want {
		if _, err := decodePartitionMeta(want[:length]); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("the first %d bytes are decoded with error %v", length, err)
		}
	}
}
