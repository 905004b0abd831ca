package index

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/model"
)

// PutDirty marks series whose samples of an hour, counted from the epoch, changed at a position of the log.
// A mark that is there already under the same position is united with it: so what is repeated after a
// crash loses nothing. The set stays as it is and may be read meanwhile.
func PutDirty(b *pebble.Batch, tier model.Tier, partition model.Partition, hour int64, lsn uint64, set *Set) error {
	var key, value []byte
	for _, p := range set.pieces {
		key = keys.AppendDirty(key[:0], keys.Dirty{Tier: tier, Partition: partition, Hour: hour, LSN: lsn, Piece: p.number})
		value = appendBitmap(append(value[:0], kindBitmap), p.bitmap.Clone())
		if err := b.Merge(key, value, nil); err != nil {
			return err
		}
	}
	return nil
}

// EachDirty calls fn with every mark of the tier's partitions [from, to], in the order of their keys, until
// it returns an error. Each call is for one stored key, keys.AppendDirty of d, so that fn can remember
// what to delete: the set has the series of that piece only. It is fn's to keep.
func EachDirty(r pebble.Reader, tier model.Tier, from, to model.Partition, fn func(d keys.Dirty, set *Set) error) (err error) {
	if from > to {
		return nil
	}
	lower, _ := keys.PartitionRange(keys.PrefixDirty, tier, from)
	_, upper := keys.PartitionRange(keys.PrefixDirty, tier, to)
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return fmt.Errorf("marks of changed series: %w", err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()

	for it.First(); it.Valid(); it.Next() {
		d, err := keys.ParseDirty(it.Key())
		if err != nil {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return fmt.Errorf("marks of changed series: %w", err)
		}
		bitmap, err := decodeBitmap(it.Key(), value)
		if err != nil {
			return err
		}
		set := new(Set)
		set.addPiece(d.Piece, bitmap)
		if err := fn(d, set); err != nil {
			return err
		}
	}
	if err := it.Error(); err != nil {
		return fmt.Errorf("marks of changed series: %w", err)
	}
	return nil
}
