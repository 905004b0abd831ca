package engine

import (
	"errors"
	"fmt"
	"slices"

	"github.com/flopynet/collector/internal/rollup"
	"github.com/flopynet/collector/model"
)

// points takes in the points of a series for the reader's step, and raw samples where points don't hold.
func (t *workerTask) points(r *tierReader, i int) error {
	s := r.step
	t.spans = t.spans[:0]
	if err := r.load(i); err != nil {
		if !errors.Is(err, ErrCorrupt) || !t.rawStored(s) {
			return err
		}
		// The samples that damaged points were made of are all there.
		t.q.db.opts.Logger.Error("points are damaged; raw samples answer in their place", "err", err)
		return t.rawSpan(i, model.Span{From: s.from, To: s.to})
	}
	t.explain.ChunksRead += r.chunks
	if t.states != nil {
		t.noteBreaks(s, &r.columns)
	}
	cursor := s.from
	for _, span := range t.changed(i, s) {
		if err := t.addPoints(r, i, cursor, span.From); err != nil {
			return err
		}
		if err := t.rawSpan(i, span); err != nil {
			return err
		}
		cursor = span.To
	}
	return t.addPoints(r, i, cursor, s.to)
}

// addPoints takes in the loaded points of [from, to).
func (t *workerTask) addPoints(r *tierReader, i int, from, to int64) error {
	lo, hi := pointsIn(r.columns.Starts, from, to)
	t.explain.Points[r.step.tier] += hi - lo
	t.read += int64(hi - lo)
	if hi > lo && !r.step.exact { // a plan takes whole partitions for hours in which a series may have nothing
		t.q.inexact.Store(true)
	}
	t.out.addPoints(t.groupOf[i], t.state(i), r.step.tier, &r.columns, lo, hi)
	if !t.out.needs.sketch {
		return nil
	}
	for _, chunk := range r.hours {
		for _, day := range chunk.Days() {
			if err := t.addSketches(day, t.groupOf[i], from, to); err != nil {
				return fmt.Errorf("series %d: %w", t.pin.ids[i], errors.Join(ErrCorrupt, err))
			}
		}
	}
	return nil
}

// addSketches takes in the sketches of a day's hours in [from, to): at once, if all are and lie in one bucket.
func (t *workerTask) addSketches(day rollup.SketchDay, group int, from, to int64) error {
	first, last := day.Starts[0], day.Starts[len(day.Starts)-1]
	if last < from || first >= to {
		return nil
	}
	bucket, end := t.out.bucketOfPoint(first, hour)
	if first >= from && last < to && last < end {
		return t.addSketch(group, bucket, day.Encoded)
	}
	for start, encoded := range day.Hours {
		if start < from || start >= to {
			continue
		}
		bucket, _ := t.out.bucketOfPoint(start, hour)
		if err := t.addSketch(group, bucket, encoded); err != nil {
			return err
		}
	}
	return nil
}

func (t *workerTask) addSketch(group, bucket int, encoded []byte) error {
	if bucket < 0 {
		return nil
	}
	_, err := t.out.partial(group, bucket).sketched().MergeBinary(encoded)
	return err
}

// rawStored reports whether there are raw samples in all days of a step.
func (t *workerTask) rawStored(s step) bool {
	return !slices.ContainsFunc(daysOf(s.from, s.to), func(day model.Partition) bool {
		_, found := t.raw[day]
		_, end := model.TierRaw.Bounds(day)
		return !found && end <= t.through // else there never were any
	})
}

// rawSpan takes in the raw samples of a series in a span.
func (t *workerTask) rawSpan(i int, span model.Span) error {
	t.explain.Tiers[model.TierRaw] = true
	for _, day := range daysOf(span.From, span.To) {
		if _, found := t.raw[day]; !found {
			continue
		}
		r, err := newPartitionReader(t.pin, day, max(span.From, t.q.from()), min(span.To, t.q.request.To))
		if err != nil {
			return err
		}
		r.values = t.chunks
		err = errors.Join(t.samples(r, i), r.close())
		t.chunks = r.values
		if err != nil {
			return err
		}
	}
	return nil
}
