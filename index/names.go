package index

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/model"
)

// EachEntry calls fn with each series of the catalogue and the number of its metric's name, by id, until
// it returns an error.
func EachEntry(r pebble.Reader, fn func(id model.SeriesID, nameID uint64) error) (err error) {
	lower, upper := keys.Range([]byte{keys.PrefixSeries})
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return fmt.Errorf("catalogue: %w", err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for it.First(); it.Valid(); it.Next() {
		id, err := keys.ParseSeries(it.Key())
		if err != nil {
			return fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return fmt.Errorf("series %d: %w", id, err)
		}
		nameID, _, ok := cutUvarint(value)
		if !ok {
			return badSeries(id, fmt.Errorf("%w: name id", model.ErrBadEncoding))
		}
		if err := fn(id, nameID); err != nil {
			return err
		}
	}
	return it.Error()
}
