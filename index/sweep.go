package index

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/pebble/v2"

	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/model"
)

// RemoveSeries takes the series out of all postings of a partition, in one pass over them. What is read is
// written back, so nobody may merge into these postings between the time r shows and the commit of b: the
// caller holds the lock of commits. b grows with the postings of the series that go. A posting that can't
// be read is ErrCorrupt, and b is of no use then.
func RemoveSeries(r pebble.Reader, b *pebble.Batch, tier model.Tier, partition model.Partition, gone *Set) (err error) {
	p, err := openPartition(r, tier, partition)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.it.Close()) }()

	var rest []byte
	for p.it.First(); p.it.Valid(); p.it.Next() {
		key := p.it.Key()
		posting, err := keys.ParsePosting(key)
		if err != nil {
			return fmt.Errorf("%w: partition %d: %w", ErrCorrupt, partition, err)
		}
		at, found := gone.find(posting.Piece)
		if !found {
			continue
		}
		value, err := p.it.ValueAndErr()
		if err != nil {
			return fmt.Errorf("postings of partition %d: %w", partition, err)
		}
		bitmap, err := decodeBitmap(key, value)
		if err != nil {
			return err
		}
		if !bitmap.Intersects(gone.pieces[at].bitmap) {
			continue
		}
		bitmap.AndNot(gone.pieces[at].bitmap)
		if bitmap.IsEmpty() {
			err = b.Delete(key, nil)
		} else {
			rest = appendBitmap(append(rest[:0], kindBitmap), bitmap)
			err = b.Set(key, rest, nil)
		}
		if err != nil {
			return err
		}
	}
	if err := p.it.Error(); err != nil {
		return fmt.Errorf("postings of partition %d: %w", partition, err)
	}
	return nil
}

// DeleteSeries takes series out of the catalogue: their entries, and their ids from those of the hashes of
// their identities. What is not there any more is passed over. As with RemoveSeries, nobody may write to
// the catalogue between the time r shows and the commit of b. Since hashes collide, b must not have deletes
// of other series already, unless r shows them.
func DeleteSeries(r pebble.Reader, b *pebble.Batch, s []model.Series) error {
	return deleteSeries(r, b, s, xxhash.Sum64)
}

// deleteSeries takes the hash so that tests can make identities collide.
func deleteSeries(r pebble.Reader, b *pebble.Batch, s []model.Series, hash func([]byte) uint64) error {
	type hashed struct {
		hash uint64
		id   model.SeriesID
	}
	byHash := make([]hashed, len(s))
	var key, identity, value []byte
	for i, series := range s {
		key = keys.AppendSeries(key[:0], series.ID)
		if err := b.Delete(key, nil); err != nil {
			return err
		}
		identity = model.AppendIdentity(identity[:0], series.Name, series.Tags)
		byHash[i] = hashed{hash(identity), series.ID}
	}
	slices.SortFunc(byHash, func(a, b hashed) int { return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.id, b.id)) })
	for len(byHash) > 0 {
		same := 1
		for same < len(byHash) && byHash[same].hash == byHash[0].hash {
			same++
		}
		rest, err := seriesOfHash(r, byHash[0].hash)
		if err != nil {
			return err
		}
		known := len(rest)
		rest = slices.DeleteFunc(rest, func(id model.SeriesID) bool {
			return slices.ContainsFunc(byHash[:same], func(h hashed) bool { return h.id == id })
		})
		key = keys.AppendIdentity(key[:0], byHash[0].hash)
		switch len(rest) {
		case known:
		case 0:
			err = b.Delete(key, nil)
		default:
			value = appendIDs(append(value[:0], kindIDs), rest)
			err = b.Set(key, value, nil)
		}
		if err != nil {
			return err
		}
		byHash = byHash[same:]
	}
	return nil
}

// DeleteName takes a metric's name and its number out of the catalogue, where no entry may have it any more.
func DeleteName(b *pebble.Batch, name string) error { return b.Delete(keys.AppendName(nil, name), nil) }
