package engine

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/flopynet/collector/index"
	"github.com/flopynet/collector/internal/head"
	"github.com/flopynet/collector/internal/rollup"
	"github.com/flopynet/collector/model"
)

// catalogue is what matchers found in a range, and which of it really has samples there. Postings say so where
// they can: those of a partition that lies in the range as a whole, and of which neither retention nor a
// delete hides anything. So does the head, by when a series' first and last samples in it are. The samples of
// the others are looked at.
type catalogue struct {
	db        *DB
	selection Selection
	*matched
	live    *index.Set // the series that have samples in the range
	deleted *index.Set // those of which a delete may hide something in the range
	floor   int64      // from which on retention hides no raw sample
}

// catalogued calls list with what a selection finds.
func catalogued[T any](ctx context.Context, db *DB, s Selection, list func(*catalogue) (T, error)) (T, error) {
	var none T
	if err := db.enter(); err != nil {
		return none, err
	}
	defer db.leave()
	s.From, s.To = max(s.From, model.MinTime), min(s.To, model.MaxTime+1)
	return consistently(db, func() (result T, err error) {
		c := &catalogue{db: db, selection: s}
		if err := c.match(ctx); err != nil {
			return none, err
		}
		defer func() { err = errors.Join(err, c.close()) }()
		return list(c)
	})
}

// match finds the series that match, and those of them that are live.
func (c *catalogue) match(ctx context.Context) (err error) {
	c.live, c.deleted = index.NewSet(), index.NewSet()
	tombstones := touching(c.db.tombstones.all(), c.selection.From, c.selection.To)
	for _, t := range tombstones {
		c.deleted.Or(t.series)
	}
	floors := c.db.expiry.load().highestFloors(c.db.opts.Now().UnixNano())
	c.floor = floors[model.TierRaw]
	c.matched, err = c.db.match(ctx, c.selection, func(where index.Place, series *index.Set) {
		from, to := boundsOf(where)
		if from < max(c.selection.From, floors[where.Tier]) || to > c.selection.To {
			return
		}
		for _, t := range touching(tombstones, from, to) {
			series.AndNot(t.series)
		}
		c.live.Or(series)
	})
	if err != nil {
		return err
	}
	doubtful := c.series.Clone()
	doubtful.AndNot(c.live)
	for id := range doubtful.All() {
		if ends, ok := c.ends(id); ok && (c.shows(ends.First) || c.shows(ends.Last)) {
			c.live.Add(id)
		}
	}
	doubtful.AndNot(c.live)
	if doubtful.IsEmpty() {
		return nil
	}
	if err := errors.Join(c.resolve(ctx, doubtful), ctx.Err()); err != nil {
		return errors.Join(err, c.close())
	}
	return nil
}

// ends returns when a series' first and last samples in the head are, if it can be told without looking at them.
func (c *catalogue) ends(id model.SeriesID) (ends head.Ends, ok bool) {
	if c.deleted.Contains(id) {
		return head.Ends{}, false
	}
	return c.db.head.Ends(id)
}

// shows reports whether a time is in the range and retention hides no raw sample of it.
func (c *catalogue) shows(at int64) bool {
	return at >= max(c.selection.From, c.floor) && at < c.selection.To
}

// inHead returns when the first and the last of all samples that the head has of the series were, and adds those
// to unsure of which it can't be told without looking at them, or that the head doesn't have.
func (c *catalogue) inHead(series, unsure *index.Set) (together Extent) {
	for id := range series.All() {
		if ends, ok := c.ends(id); ok && c.shows(ends.First) && c.shows(ends.Last) {
			together.widen(ends.First, ends.Last)
		} else {
			unsure.Add(id)
		}
	}
	return together
}

// resolve looks for a sample of each of the series.
func (c *catalogue) resolve(ctx context.Context, doubtful *index.Set) error {
	spans, err := c.spansOf(doubtful, doubtful)
	if err != nil {
		return err
	}
	slices.Reverse(spans) // most series have recent samples
	return c.db.eachValue(ctx, c.matched, doubtful, model.NameKey, func(name string, series *index.Set) error {
		for ids := range slices.Chunk(series.AppendTo(nil), pinGroup) {
			found := make([]Extent, len(ids))
			for _, s := range spans {
				if err := c.look(ctx, s, name, ids, false, found, func(e Extent) bool { return !e.Found }); err != nil {
					return err
				}
			}
			for i, id := range ids {
				if found[i].Found {
					c.live.Add(id)
				}
			}
		}
		return nil
	})
}

// highestFloors returns, by tier, the time from which on nothing of any series is hidden by retention.
func (e *expiry) highestFloors(now int64) (floors [model.Tiers]int64) {
	floors[model.TierRaw] = e.expired.Newest()
	for class := range e.policy.Classes() {
		for tier := range floors {
			floors[tier] = max(floors[tier], e.policy.Floor(class, model.Tier(tier), now))
		}
	}
	return floors
}

// boundsOf returns the range of a place, of which the last ends with time.
func boundsOf(where index.Place) (from, to int64) {
	from, to = where.Tier.Bounds(where.Partition)
	if to < from || to > model.MaxTime {
		to = model.MaxTime + 1
	}
	return from, to
}

// span is a part of the catalogue's range and the series that may have samples in it.
type span struct {
	from, to int64
	series   *index.Set
}

// spansOf returns the spans in which series within may have stored samples, and those of unsure samples in the
// head, in the order of their beginnings. Those of points overlap those of samples. As in match, the head comes
// first: the snapshot there is may be older than a flush that has emptied the head since.
func (c *catalogue) spansOf(within, unsure *index.Set) (spans []span, err error) {
	days := c.headDays(unsure)
	snapshot := c.db.chunks.NewSnapshot()
	defer func() { err = errors.Join(err, snapshot.Close()) }()
	for _, where := range c.db.postingsIn(c.selection.From, c.selection.To) {
		series, err := index.PartitionSeries(snapshot, where.Tier, where.Partition)
		if err != nil {
			return nil, err
		}
		series.And(within)
		if inHead := days[where.Partition]; where.Tier == model.TierRaw && inHead != nil {
			series.Or(inHead)
			delete(days, where.Partition)
		}
		spans = c.appendSpan(spans, where, series)
	}
	for day, series := range days {
		spans = c.appendSpan(spans, index.Place{Tier: model.TierRaw, Partition: day}, series)
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to)) })
	return spans, nil
}

func (c *catalogue) appendSpan(spans []span, where index.Place, series *index.Set) []span {
	from, to := boundsOf(where)
	from, to = max(from, c.selection.From), min(to, c.selection.To)
	if series.IsEmpty() || from >= to {
		return spans
	}
	return append(spans, span{from, to, series})
}

// headDays returns the days of which the head has samples of the series, and of which of them.
func (c *catalogue) headDays(within *index.Set) map[model.Partition]*index.Set {
	days := make(map[model.Partition]*index.Set)
	of := make(map[model.Partition]bool)
	for id := range within.All() {
		clear(of)
		for _, view := range c.db.head.Views(nil, id) {
			notePartitions(of, view, c.selection.From, c.selection.To)
		}
		for day := range of {
			if days[day] == nil {
				days[day] = index.NewSet()
			}
			days[day].Add(id)
		}
	}
	return days
}

// extents widens found to when the first and the last sample of series of one metric were: of each, or together
// of all. It looks from either end of the range until it has found them.
func (c *catalogue) extents(ctx context.Context, spans []span, name string, ids []model.SeriesID, together bool, found []Extent) error {
	var left []span // of which not all has been seen
	for _, s := range spans {
		all := true
		err := c.look(ctx, s, name, ids, together, found, func(e Extent) bool {
			wanted := !e.Found || e.First > s.from
			all = all && wanted
			return wanted
		})
		if err != nil {
			return err
		}
		if !all {
			left = append(left, s)
		}
	}
	spans = left
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(b.to, a.to) })
	for _, s := range spans {
		err := c.look(ctx, s, name, ids, together, found, func(e Extent) bool { return e.Found && e.Last < s.to-1 })
		if err != nil {
			return err
		}
	}
	return nil
}

// look widens the extents of those series that want says true of by what they have in a span.
func (c *catalogue) look(ctx context.Context, s span, name string, ids []model.SeriesID, together bool, extents []Extent, want func(Extent) bool) error {
	var among []model.SeriesID
	var groupOf []int // in extents
	for i, id := range ids {
		if together {
			i = 0
		}
		if want(extents[i]) && s.series.Contains(id) {
			among, groupOf = append(among, id), append(groupOf, i)
		}
	}
	if len(among) == 0 {
		return nil
	}
	f := found{name: name, ids: among}
	if err := c.db.classify(&f); err != nil {
		return err
	}
	q := &aggregation{
		db: c.db, found: f, groups: len(extents), groupOf: groupOf, needs: needs{columns: rollup.WantCounts | rollup.WantEnds},
		request: &AggregateRequest{Selection: Selection{From: s.from, To: s.to}, Edges: []int64{s.from, s.to}},
	}
	total, err := q.run(ctx)
	if err != nil {
		return err
	}
	for i, pages := range total.groups {
		if len(pages) == 0 || len(pages[0]) == 0 || pages[0][0].count == 0 {
			continue
		}
		extents[i].widen(pages[0][0].firstTime, pages[0][0].lastTime)
	}
	return nil
}
