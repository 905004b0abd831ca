package record

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/s2"

	"github.com/flopynet/collector/internal/doctest"
	"github.com/flopynet/collector/model"
)

// compressed is a compressed record of the payload, whatever it saves.
func compressed(t *testing.T, payload []byte) []byte {
	t.Helper()
	dst, start := beginRecord(nil, KindCompressed)
	return endRecord(append(dst, s2.Encode(nil, payload)...), start)
}

// TestCompressedExample reads the example of docs/format.md. S2 lets an encoder choose, so that it is not
// held to the bytes.
func TestCompressedExample(t *testing.T) {
	reader := NewReader(doctest.Example(t, "record-compressed"))
	for range 4 {
		if !reader.Next() || reader.Kind() != KindUnit {
			t.Fatalf("read as %s, %v", reader.Kind(), reader.Err())
		}
		if id, unit, err := reader.Unit(); id != 300 || unit != "%" || err != nil {
			t.Errorf("unit of %d: %q, %v", id, unit, err)
		}
	}
	if reader.Next() || reader.Err() != nil {
		t.Errorf("after the last record: %v", reader.Err())
	}
}

func TestCompressed(t *testing.T) {
	var payload []byte
	for id := range 100 {
		identity := model.AppendIdentity(nil, "cpu_usage", model.Tags{{Key: "datacenter", Value: "eu-west-1"}, {Key: "host", Value: string(rune('a' + id))}})
		payload = AppendDefinition(payload, model.SeriesID(id+1), identity)
	}
	before := []byte("before")
	packed, ok := AppendCompressed(bytes.Clone(before), payload)
	if !ok || len(packed) > len(payload)/3 || !bytes.HasPrefix(packed, before) {
		t.Fatalf("%v: %d bytes became %d", ok, len(payload), len(packed))
	}
	reader, plain := NewReader(packed[len(before):]), NewReader(payload)
	for plain.Next() {
		wantID, want, _ := plain.Definition()
		if !reader.Next() {
			t.Fatalf("it ends early: %v", reader.Err())
		}
		if id, identity, err := reader.Definition(); id != wantID || !bytes.Equal(identity, want) || err != nil {
			t.Fatalf("definition of %d: %q, %v; want %d: %q", id, identity, err, wantID, want)
		}
	}
	if reader.Next() || reader.Err() != nil {
		t.Errorf("after the last record: %v", reader.Err())
	}
}

// TestIncompressible: what saves nothing is left as it was.
func TestIncompressible(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	payload := make([]byte, 10_000)
	for i := range payload {
		payload[i] = byte(random.Uint32())
	}
	for _, payload := range [][]byte{payload, payload[:3], {}, make([]byte, MaxExpandedBytes+1)} {
		if got, ok := AppendCompressed([]byte("x"), payload); ok || string(got) != "x" {
			t.Errorf("%d bytes became %d", len(payload), len(got)-1)
		}
	}
}
