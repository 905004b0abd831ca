package engine

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/flopynet/collector/index"
	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/model"
	"github.com/flopynet/collector/wal"
)

// tombstone hides what some series had in a span of time when it was written: chunks with a lower seq,
// and points that were computed of them. Data in the head it removes itself.
type tombstone struct {
	lsn wal.LSN
	model.Span
	series *index.Set // never changed
}

// tombstones are those in force, by LSN. The list is replaced, never changed, so that readers keep what
// they pinned.
type tombstones struct {
	mu   sync.Mutex // held while the list is replaced
	list atomic.Pointer[[]tombstone]
}

// all returns the tombstones in force.
func (t *tombstones) all() []tombstone {
	if list := t.list.Load(); list != nil {
		return *list
	}
	return nil
}

func (t *tombstones) add(added tombstone) {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := append(slices.Clone(t.all()), added)
	t.list.Store(&list)
}

// remove drops those whose LSN is listed.
func (t *tombstones) remove(lsns []wal.LSN) {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := slices.DeleteFunc(slices.Clone(t.all()), func(t tombstone) bool { return slices.Contains(lsns, t.lsn) })
	t.list.Store(&list)
}

// touching returns those of the list that overlap [from, to).
func touching(list []tombstone, from, to int64) []tombstone {
	var out []tombstone
	for _, t := range list {
		if t.Overlaps(from, to) {
			out = append(out, t)
		}
	}
	return out
}

// hides returns the spans in which what the series had at seq is hidden.
func hides(list []tombstone, id model.SeriesID, seq uint64) []model.Span {
	var spans []model.Span
	for _, t := range list {
		if uint64(t.lsn) > seq && t.series.Contains(id) {
			spans = append(spans, t.Span)
		}
	}
	return spans
}

// encodeTombstone writes what a tombstone's key doesn't say: from, to, the series, and a CRC32C of key and
// value.
func encodeTombstone(key []byte, t tombstone) []byte {
	value := binary.AppendUvarint(nil, uint64(t.From))
	value = binary.AppendUvarint(value, uint64(t.To))
	value = index.AppendSet(value, t.series)
	return binary.BigEndian.AppendUint32(value, keyedChecksum(key, value))
}

// keyedChecksum is the CRC32C of a key, then its value.
func keyedChecksum(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value)
}

func decodeTombstone(key, value []byte) (tombstone, error) {
	lsn, err := keys.ParseTombstone(key)
	if err != nil {
		return tombstone{}, err
	}
	t := tombstone{lsn: wal.LSN(lsn)}
	end := len(value) - 4
	if end < 0 || binary.BigEndian.Uint32(value[end:]) != keyedChecksum(key, value[:end]) {
		return t, fmt.Errorf("%w: the checksum of the tombstone of LSN %d is wrong", ErrCorrupt, lsn)
	}
	rest := value[:end]
	for _, field := range []*int64{&t.From, &t.To} {
		number, n := binary.Uvarint(rest)
		if n <= 0 {
			return t, fmt.Errorf("%w: the tombstone of LSN %d is cut short", ErrCorrupt, lsn)
		}
		*field, rest = int64(number), rest[n:]
	}
	if t.series, err = index.ParseSet(rest); err != nil {
		return t, fmt.Errorf("%w: the series of the tombstone of LSN %d: %w", ErrCorrupt, lsn, err)
	}
	return t, nil
}

// loadTombstones reads those that the chunk store has.
func (db *DB) loadTombstones() error {
	return db.eachKey([]byte{keys.PrefixTombstone}, func(key, value []byte) error {
		t, err := decodeTombstone(key, value)
		if err == nil {
			db.tombstones.add(t)
		}
		return err
	})
}
