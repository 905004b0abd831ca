package engine

import (
	"errors"

	"github.com/flopynet/collector/index"
)

// attempts is how often a read is tried that meets series which are just being dropped.
const attempts = 3

// consistently reads, and reads again if a series that was found is gone from the catalogue because it was
// dropped meanwhile. If nothing was dropped, the catalogue is damaged, and the error stands.
func consistently[T any](db *DB, read func() (T, error)) (result T, err error) {
	for range attempts {
		epoch := db.Epoch()
		if result, err = read(); !errors.Is(err, index.ErrCorrupt) || db.Epoch() == epoch {
			break
		}
	}
	return result, err
}
