package index

import (
	"errors"
	"fmt"

	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/model"
)

// ErrCorrupt is wrapped by errors about stored bytes that are not what the index writes. The text names
// the entry.
var ErrCorrupt = errors.New("the index is damaged")

// corrupt is ErrCorrupt with the key in words, as far as it has any.
func corrupt(key []byte, err error) error {
	if p, parseErr := keys.ParsePosting(key); parseErr == nil {
		return fmt.Errorf("%w: posting %q=%q, piece %d, of tier %d, partition %d: %w",
			ErrCorrupt, p.Key, p.Value, p.Piece, p.Tier, p.Partition, err)
	}
	if d, parseErr := keys.ParseDirty(key); parseErr == nil {
		return fmt.Errorf("%w: changed series of hour %d, LSN %d, piece %d, of tier %d, partition %d: %w",
			ErrCorrupt, d.Hour, d.LSN, d.Piece, d.Tier, d.Partition, err)
	}
	return fmt.Errorf("%w: key %x: %w", ErrCorrupt, key, err)
}

// missingSeries is ErrCorrupt for an id that has no catalogue entry.
func missingSeries(id model.SeriesID) error {
	return fmt.Errorf("%w: series %d is not in the catalogue", ErrCorrupt, id)
}

// badSeries is ErrCorrupt for a catalogue entry that can't be understood.
func badSeries(id model.SeriesID, err error) error {
	return fmt.Errorf("%w: series %d: %w", ErrCorrupt, id, err)
}
