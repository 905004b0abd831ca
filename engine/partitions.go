package engine

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/flopynet/collector/index"
	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/model"
	"github.com/flopynet/collector/wal"
)

// partitionMeta is what the chunk store says of a partition as a whole.
type partitionMeta struct {
	// Raw partitions only: what lies before this time is in the points of the other tiers, but for what is
	// marked as changed since. Whole hours, in nanoseconds since the epoch; 0: nothing is.
	RolledThrough int64

	Flushed   wal.LSN // seq of the newest chunks
	Compacted wal.LSN // chunks up to this seq were joined

	Stored storedCount // raw partitions only
}

// metaVersion begins the value of a partitionMeta. The bare version 0 has no fields, 1 lacks what is stored.
const metaVersion = 2

func encodePartitionMeta(m partitionMeta) []byte {
	value := binary.AppendUvarint(nil, metaVersion)
	value = binary.AppendUvarint(value, uint64(m.RolledThrough))
	value = binary.AppendUvarint(value, uint64(m.Flushed))
	value = binary.AppendUvarint(value, uint64(m.Compacted))
	return m.Stored.appendTo(value)
}

func decodePartitionMeta(value []byte) (partitionMeta, error) {
	var fields [7]uint64
	count := len(fields)
	for i := 0; i < count; i++ {
		field, n := binary.Uvarint(value)
		if n <= 0 {
			return partitionMeta{}, fmt.Errorf("%w: the state of a partition is cut short", ErrCorrupt)
		}
		fields[i], value = field, value[n:]
		if i == 0 && field == 0 && len(value) == 0 {
			return partitionMeta{Flushed: 1}, nil
		}
		if i == 0 && field == 1 {
			count = 4
		}
	}
	if fields[0] != metaVersion && fields[0] != 1 || len(value) > 0 {
		return partitionMeta{}, fmt.Errorf("%w: the state of a partition has version %d and %d bytes too many", ErrCorrupt, fields[0], len(value))
	}
	return partitionMeta{RolledThrough: int64(fields[1]), Flushed: wal.LSN(fields[2]), Compacted: wal.LSN(fields[3]),
		Stored: storedCountOf(fields[4], fields[5], fields[6])}, nil
}

// partition is a stored partition as the engine knows it.
type partition struct {
	meta   partitionMeta
	series *index.Set // that have postings in it; nil: not loaded yet

	rolling   int64 // a rollup up to this time is under way: later changes before it are marked
	tendedAt  int64 // time of the last maintenance, since the start; ns
	fresh     int   // chunks flushed since the last compaction, since the start
	retired   retireCheck
	trimmed   trimmed
	flushedAt int64 // time of the last flush that wrote to it, since the start; ns
}

// through is the time before which changes have to be marked.
func (p *partition) through() int64 { return max(p.meta.RolledThrough, p.rolling) }

// loadPartitions reads the list of partitions of all tiers.
func (db *DB) loadPartitions() error {
	for tier := range db.store.partitions {
		db.store.partitions[tier] = make(map[model.Partition]*partition)
	}
	return db.eachKey([]byte{keys.PrefixPartition}, func(key, value []byte) error {
		tier, number, err := keys.ParsePartition(key)
		if err != nil {
			return err
		}
		if tier >= model.Tiers {
			return fmt.Errorf("%w: a partition of tier %d", ErrCorrupt, tier)
		}
		meta, err := decodePartitionMeta(value)
		if err != nil {
			return fmt.Errorf("partition %d of tier %s: %w", number, tier, err)
		}
		db.store.partitions[tier][number] = &partition{meta: meta}
		return nil
	})
}

// putPartition writes the state of a partition.
func putPartition(b *pebble.Batch, tier model.Tier, number model.Partition, meta partitionMeta) error {
	return b.Set(keys.AppendPartition(nil, tier, number), encodePartitionMeta(meta), nil)
}

// partitionState returns a copy of what is known of a partition.
func (db *DB) partitionState(tier model.Tier, number model.Partition) (partition, bool) {
	db.store.mu.RLock()
	defer db.store.mu.RUnlock()
	if p := db.store.partitions[tier][number]; p != nil {
		return *p, true
	}
	return partition{}, false
}

// updatePartition changes what is known of a partition, and begins to know it.
func (db *DB) updatePartition(tier model.Tier, number model.Partition, change func(*partition)) {
	db.store.mu.Lock()
	defer db.store.mu.Unlock()
	p := db.store.partitions[tier][number]
	if p == nil {
		p = &partition{series: index.NewSet()}
		db.store.partitions[tier][number] = p
	}
	change(p)
}

// partitionsIn returns the stored partitions of a tier that overlap [from, to), in ascending order.
func (db *DB) partitionsIn(tier model.Tier, from, to int64) []model.Partition {
	if from >= to {
		return nil
	}
	first, last := tier.PartitionOf(max(from, 0)), tier.PartitionOf(max(to-1, 0))
	db.store.mu.RLock()
	defer db.store.mu.RUnlock()
	var numbers []model.Partition
	for number := range db.store.partitions[tier] {
		if number >= first && number <= last {
			numbers = append(numbers, number)
		}
	}
	slices.Sort(numbers)
	return numbers
}

// partitionSeries returns the series that have postings in a partition, nil if there is no such partition.
// The caller holds flush.mu, so that no flush adds to what is being read; of the tiers above raw, where only
// jobs write, it may also be the job.
func (db *DB) partitionSeries(tier model.Tier, number model.Partition) (*index.Set, error) {
	p, found := db.partitionState(tier, number)
	if !found || p.series != nil {
		return p.series, nil
	}
	set, err := index.PartitionSeries(db.chunks, tier, number)
	if err != nil {
		return nil, err
	}
	db.updatePartition(tier, number, func(p *partition) { p.series = set })
	return set, nil
}
