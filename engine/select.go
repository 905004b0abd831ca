package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

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
	return consistently(db, func() ([]model.Series, error) {
		found, err := db.find(ctx, s)
		if err != nil {
			return nil, err
		}
		return db.describe(found.ids)
	})
}

// found is a selection's outcome: some series of one metric.
type found struct {
	name string
	ids  []model.SeriesID

	floors  []floors // by class
	classes []int    // by series; nil: all are of class 0
}

// part returns series [begin, end) of what was found.
func (f found) part(begin, end int) found {
	f.ids = f.ids[begin:end]
	if f.classes != nil {
		f.classes = f.classes[begin:end]
	}
	return f
}

// find evaluates the matchers, which name one metric, over memory and over each stored partition of the range.
func (db *DB) find(ctx context.Context, s Selection) (_ found, err error) {
	name, err := metricName(s.Matchers)
	if err != nil {
		return found{}, err
	}
	m, err := db.match(ctx, s, nil)
	if err != nil {
		return found{}, err
	}
	f := found{name: name, ids: m.series.AppendTo(nil)}
	return f, errors.Join(m.close(), db.classify(&f))
}

// matched is what matchers of any kind select, and where it was looked up.
type matched struct {
	series   *index.Set
	places   []index.Place
	snapshot *pebble.Snapshot
}

func (m *matched) close() error { return m.snapshot.Close() }

// match evaluates the matchers over memory and over each stored partition of the range. The caller closes
// what it gets. note, if it isn't nil, is handed what each partition has, for its own use.
func (db *DB) match(ctx context.Context, s Selection, note func(index.Place, *index.Set)) (_ *matched, err error) {
	m := &matched{series: index.NewSet()}
	// Memory first: a series that is flushed meanwhile is then found in both places, not in none.
	for id := range db.active.Select(s.Matchers).All() {
		if db.head.Has(id) {
			m.series.Add(id)
		}
	}
	// The snapshot comes before the list of partitions: one that is dropped meanwhile is then in both, or
	// what has taken its place is in the list.
	m.snapshot = db.chunks.NewSnapshot()
	defer func() {
		if err != nil {
			err = errors.Join(err, m.close())
		}
	}()
	m.places = db.postingsIn(s.From, s.To)
	for _, where := range m.places {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		matched, err := index.Select(m.snapshot, where.Tier, where.Partition, s.Matchers)
		if err != nil {
			return nil, fmt.Errorf("look up series: %w", err)
		}
		m.series.Or(matched)
		if note != nil {
			note(where, matched)
		}
	}
	return m, nil
}

// postingsIn returns partitions whose postings together have every series with stored data in [from, to):
// all raw ones, and those of the hours' tier that reach where raw samples were dropped. The hours have
// every series that the points of five minutes have.
func (db *DB) postingsIn(from, to int64) []index.Place {
	var out []index.Place
	whole := make(map[model.Partition]bool) // days of which no series' samples were dropped
	dropped := db.expiry.load().expired.Newest()
	for _, day := range db.partitionsIn(model.TierRaw, from, to) {
		out = append(out, index.Place{Tier: model.TierRaw, Partition: day})
		_, end := model.TierRaw.Bounds(day)
		whole[day] = end > dropped
	}
	for _, number := range db.partitionsIn(model.Tier1h, from, to) {
		begin, end := model.Tier1h.Bounds(number)
		for _, day := range daysOf(max(begin, from), min(end, to)) {
			if !whole[day] {
				out = append(out, index.Place{Tier: model.Tier1h, Partition: number})
				break
			}
		}
	}
	return out
}

// daysOf returns the raw partitions that overlap [from, to).
func daysOf(from, to int64) []model.Partition {
	var days []model.Partition
	for day := model.TierRaw.PartitionOf(from); from < to && day <= model.TierRaw.PartitionOf(to-1); day++ {
		days = append(days, day)
	}
	return days
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
