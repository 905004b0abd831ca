package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/flopynet/collector/index"
	"github.com/flopynet/collector/model"
)

// ErrNoName is returned for a selection without exactly one equality matcher for the metric's name.
var ErrNoName = errors.New("a selection needs the name of one metric")

// Select returns the series that match and may have samples in the range, by id. What may be is decided
// by day for stored samples; a series with samples in the head is always returned.
func (db *DB) Select(ctx context.Context, s Selection) ([]model.Series, error) {
	if err := db.enter(); err != nil {
		return nil, err
	}
	defer db.leave()
	found, err := db.find(ctx, s)
	if err != nil {
		return nil, err
	}
	return db.describe(found.ids)
}

// found is a selection's outcome: some series of one metric.
type found struct {
	name string
	ids  []model.SeriesID
}

// find evaluates the matchers over memory and over each stored partition of the range.
func (db *DB) find(ctx context.Context, s Selection) (found, error) {
	name, err := metricName(s.Matchers)
	if err != nil {
		return found{}, err
	}
	// Memory first: a series that is flushed meanwhile is then found in both places, not in none.
	set := index.NewSet()
	for id := range db.active.Select(s.Matchers).All() {
		if db.head.Has(id) {
			set.Add(id)
		}
	}
	for _, partition := range db.partitionsIn(s.From, s.To) {
		if err := ctx.Err(); err != nil {
			return found{}, err
		}
		matched, err := index.Select(db.chunks, model.TierRaw, partition, s.Matchers)
		if err != nil {
			return found{}, fmt.Errorf("look up series: %w", err)
		}
		set.Or(matched)
	}
	return found{name: name, ids: set.AppendTo(nil)}, nil
}

func metricName(matchers []*model.Matcher) (string, error) {
	name, count := "", 0
	for _, m := range matchers {
		if m.Key == model.NameKey && m.Op == model.MatchEqual {
			name = m.Value
			count++
		}
	}
	if count != 1 {
		return "", ErrNoName
	}
	return name, nil
}

// partitionsIn returns the stored partitions that overlap [from, to), in ascending order.
func (db *DB) partitionsIn(from, to int64) []model.Partition {
	if from >= to {
		return nil
	}
	first, last := model.TierRaw.PartitionOf(max(from, 0)), model.TierRaw.PartitionOf(max(to-1, 0))
	db.store.mu.RLock()
	defer db.store.mu.RUnlock()
	var partitions []model.Partition
	for partition := range db.store.partitions {
		if partition >= first && partition <= last {
			partitions = append(partitions, partition)
		}
	}
	slices.Sort(partitions)
	return partitions
}

// describe returns the series with these ascending ids.
func (db *DB) describe(ids []model.SeriesID) ([]model.Series, error) {
	series := make([]model.Series, len(ids))
	var missing []model.SeriesID
	var places []int
	for i, id := range ids {
		var known bool
		if series[i], known = db.active.Series(id); !known {
			missing = append(missing, id)
			places = append(places, i)
		}
	}
	if len(missing) == 0 {
		return series, nil
	}
	next := 0
	err := index.LoadSeries(db.chunks, db.nameOf, missing, func(s model.Series) error {
		series[places[next]] = s
		next++
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("load series: %w", err)
	}
	return series, nil
}

// nameOf returns the name of a metric by its number.
func (db *DB) nameOf(nameID uint64) (string, bool) {
	db.store.mu.RLock()
	defer db.store.mu.RUnlock()
	name, found := db.store.nameOf[nameID]
	return name, found
}

// lookupStored finds a series that is in the catalogue but not in memory, and takes it into memory.
func (db *DB) lookupStored(identity []byte) (model.SeriesID, bool, error) {
	if err := db.enter(); err != nil {
		return 0, false, err
	}
	defer db.leave()
	id, known, err := index.LookupSeries(db.chunks, identity)
	if err != nil || !known {
		return 0, false, err
	}
	series, err := db.describe([]model.SeriesID{id})
	if err != nil {
		return 0, false, err
	}
	db.active.Insert(series[0])
	return id, true, nil
}
