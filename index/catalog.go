package index

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cespare/xxhash/v2"
	"github.com/cockroachdb/pebble/v2"

	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/model"
)

// A catalogue entry, under keys.PrefixSeries, is
//
//	uvarint nameID | string unit | string key, string value of each tag
//
// of which everything behind the nameID is model.AppendIdentity with the unit in the name's place.
type entry struct {
	nameID uint64
	unit   string
	tags   model.Tags
}

func appendEntry(dst []byte, e entry) []byte {
	dst = binary.AppendUvarint(dst, e.nameID)
	return model.AppendIdentity(dst, e.unit, e.tags)
}

func parseEntry(value []byte) (e entry, err error) {
	nameID, rest, ok := cutUvarint(value)
	if !ok {
		return entry{}, fmt.Errorf("%w: name id", model.ErrBadEncoding)
	}
	e.nameID = nameID
	e.unit, e.tags, err = model.DecodeIdentity(rest)
	return e, err
}

// PutSeries writes the catalogue's entry of a series. Writing it again, or with another unit, is allowed.
func PutSeries(b *pebble.Batch, s model.Series, nameID uint64) error {
	return putSeries(b, s, nameID, xxhash.Sum64)
}

// putSeries takes the hash so that tests can make identities collide.
func putSeries(b *pebble.Batch, s model.Series, nameID uint64, hash func([]byte) uint64) error {
	if err := PutUnit(b, s, nameID); err != nil {
		return err
	}
	var scratch [512]byte
	identity := model.AppendIdentity(scratch[:0], s.Name, s.Tags)
	var key, value [32]byte
	return b.Merge(keys.AppendIdentity(key[:0], hash(identity)),
		appendIDs(append(value[:0], kindIDs), []model.SeriesID{s.ID}), nil)
}

// PutUnit rewrites the entry of a series that is in the catalogue, for its new unit.
func PutUnit(b *pebble.Batch, s model.Series, nameID uint64) error {
	var key [32]byte
	var value [512]byte
	return b.Set(keys.AppendSeries(key[:0], s.ID),
		appendEntry(value[:0], entry{nameID: nameID, unit: s.Unit, tags: s.Tags}), nil)
}

// PutName writes the number that stands for a metric's name in chunk keys.
func PutName(b *pebble.Batch, name string, nameID uint64) error {
	return b.Set(keys.AppendName(nil, name), binary.AppendUvarint(nil, nameID), nil)
}

// LookupSeries returns the id of the series with this identity, the bytes of model.AppendIdentity.
func LookupSeries(r pebble.Reader, identity []byte) (id model.SeriesID, found bool, err error) {
	return lookupSeries(r, identity, xxhash.Sum64)
}

func lookupSeries(r pebble.Reader, identity []byte, hash func([]byte) uint64) (model.SeriesID, bool, error) {
	candidates, err := seriesOfHash(r, hash(identity))
	if err != nil || len(candidates) == 0 {
		return 0, false, err
	}
	name, tags, err := model.DecodeIdentity(identity)
	if err != nil {
		return 0, false, fmt.Errorf("series identity: %w", err)
	}
	nameID, found, err := lookupName(r, name)
	if err != nil || !found {
		return 0, false, err
	}
	for _, id := range candidates {
		e, err := getEntry(r, id)
		if err != nil {
			return 0, false, err
		}
		if e.nameID == nameID && slices.Equal(e.tags, tags) {
			return id, true, nil
		}
	}
	return 0, false, nil
}

// seriesOfHash returns the ids of the series whose identities have the hash, ascending.
func seriesOfHash(r pebble.Reader, hash uint64) ([]model.SeriesID, error) {
	key := keys.AppendIdentity(nil, hash)
	value, closer, err := r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("series identity %x: %w", hash, err)
	}
	ids, err := decodeIdentity(key, value)
	return ids, errors.Join(err, closer.Close())
}

func lookupName(r pebble.Reader, name string) (nameID uint64, found bool, err error) {
	key := keys.AppendName(nil, name)
	value, closer, err := r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("metric name %q: %w", name, err)
	}
	nameID, err = parseNameID(key, value)
	return nameID, err == nil, errors.Join(err, closer.Close())
}

func parseNameID(key, value []byte) (uint64, error) {
	nameID, rest, ok := cutUvarint(value)
	if !ok || len(rest) > 0 {
		return 0, corrupt(key, fmt.Errorf("%w: name id", model.ErrBadEncoding))
	}
	return nameID, nil
}

func getEntry(r pebble.Reader, id model.SeriesID) (entry, error) {
	value, closer, err := r.Get(keys.AppendSeries(nil, id))
	if errors.Is(err, pebble.ErrNotFound) {
		return entry{}, missingSeries(id)
	}
	if err != nil {
		return entry{}, fmt.Errorf("series %d: %w", id, err)
	}
	e, err := parseEntry(value)
	if err != nil {
		err = badSeries(id, err)
	}
	return e, errors.Join(err, closer.Close())
}

// LoadSeries calls fn with each of the series, whose ids must ascend, in that order, until it returns an
// error. nameOf turns the number of a metric's name back into the name. A series or name that is missing
// is ErrCorrupt.
func LoadSeries(r pebble.Reader, nameOf func(nameID uint64) (string, bool), ids []model.SeriesID, fn func(model.Series) error) (err error) {
	if len(ids) == 0 {
		return nil
	}
	lower, upper := keys.Range([]byte{keys.PrefixSeries})
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return fmt.Errorf("catalogue: %w", err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()

	var key []byte
	for i, id := range ids {
		if i > 0 && id == ids[i-1]+1 {
			it.Next()
		} else {
			key = keys.AppendSeries(key[:0], id)
			it.SeekGE(key)
		}
		s, err := seriesAt(it, id, nameOf)
		if err != nil {
			return err
		}
		if err := fn(s); err != nil {
			return err
		}
	}
	return nil
}

// seriesAt reads the entry at the iterator, which must be that of id.
func seriesAt(it *pebble.Iterator, id model.SeriesID, nameOf func(nameID uint64) (string, bool)) (model.Series, error) {
	if !it.Valid() {
		if err := it.Error(); err != nil {
			return model.Series{}, fmt.Errorf("series %d: %w", id, err)
		}
		return model.Series{}, missingSeries(id)
	}
	found, err := keys.ParseSeries(it.Key())
	if err != nil {
		return model.Series{}, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if found != id {
		return model.Series{}, missingSeries(id)
	}
	value, err := it.ValueAndErr()
	if err != nil {
		return model.Series{}, fmt.Errorf("series %d: %w", id, err)
	}
	e, err := parseEntry(value)
	if err != nil {
		return model.Series{}, badSeries(id, err)
	}
	name, ok := nameOf(e.nameID)
	if !ok {
		return model.Series{}, badSeries(id, fmt.Errorf("its metric name has the unknown id %d", e.nameID))
	}
	return model.Series{ID: id, Name: name, Tags: e.tags, Unit: e.unit}, nil
}

// LoadNames returns all metric names with their numbers.
func LoadNames(r pebble.Reader) (names map[string]uint64, err error) {
	lower, upper := keys.Range([]byte{keys.PrefixName})
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return nil, fmt.Errorf("metric names: %w", err)
	}
	defer func() { err = errors.Join(err, it.Close()) }()

	names = make(map[string]uint64)
	for it.First(); it.Valid(); it.Next() {
		name, err := keys.ParseName(it.Key())
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return nil, fmt.Errorf("metric name %q: %w", name, err)
		}
		if names[name], err = parseNameID(it.Key(), value); err != nil {
			return nil, err
		}
	}
	return names, nil
}
