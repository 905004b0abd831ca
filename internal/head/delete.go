package head

import (
	"errors"
	"fmt"
	"slices"

	"github.com/flopynet/collector/internal/chunk"
	"github.com/flopynet/collector/model"
)

// Delete removes the samples with from <= time < to of those of the series that are in the applier's
// shards. It leaves frozen samples as they are. A view taken before keeps what it had. An error can only
// come from damaged memory; the series it names then keeps its samples, and the others lose theirs.
func (a *Applier) Delete(ids []model.SeriesID, from, to int64) error {
	spans := []model.Span{{From: from, To: to}}
	var failed []error
	for _, id := range ids {
		number := shardOf(id)
		if number < a.from || number >= a.to {
			continue
		}
		if err := a.head.shards[number].delete(id, spans); err != nil {
			failed = append(failed, fmt.Errorf("series %d: %w", id, err))
		}
	}
	return errors.Join(failed...)
}

func (sh *shard) delete(id model.SeriesID, spans []model.Span) error {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	s := sh.find(id)
	if s == nil || s.cur == nil {
		return nil
	}
	kept, err := s.cur.without(spans)
	if err != nil {
		return err
	}
	before := s.count()
	s.cur = kept
	sh.samples.Add(int64(s.count() - before))
	return nil
}

// without returns what is left of d when the samples in the spans are left out: d itself if it has none
// there, nil if it has no others. Otherwise the result shares those blocks of d that lose nothing, so that
// d must not be written to any more. d stays as it is.
func (d *data) without(spans []model.Span) (*data, error) {
	if !d.touches(spans) {
		return d, nil
	}
	hidden := func(sample model.Sample) bool { return contains(spans, sample.Time) }
	kept := &data{
		blockMax: -1,
		period:   d.period,
		tail:     slices.DeleteFunc(slices.Clone(d.tail), hidden),
		late:     slices.DeleteFunc(slices.Clone(d.late), hidden),
	}
	for _, block := range d.closed {
		whole, err := kept.encodeRest(block, spans)
		if err != nil {
			return nil, err
		}
		if whole {
			kept.closeBlock()
			kept.closed = append(kept.closed, block)
			kept.blockMax = block.MaxTime()
		}
	}
	if d.open.Count() > 0 {
		whole, err := kept.encodeRest(d.open.Block(), spans)
		if err != nil {
			return nil, err
		}
		if whole {
			kept.closeBlock()
			kept.open = d.open
			kept.blockMax = d.open.MaxTime()
		}
	}
	kept.count = kept.open.Count() + len(kept.tail) + len(kept.late)
	for _, block := range kept.closed {
		kept.count += block.Count()
	}
	for _, sample := range kept.late {
		kept.blockMax = max(kept.blockMax, sample.Time) // so that what comes next for that time is behind it
	}
	switch kept.count {
	case d.count:
		return d, nil
	case 0:
		return nil, nil
	}
	return kept, nil
}

// touches reports whether d may have samples in the spans.
func (d *data) touches(spans []model.Span) bool {
	overlaps := func(first, last int64) bool {
		return slices.ContainsFunc(spans, func(s model.Span) bool { return s.Overlaps(first, last+1) })
	}
	hidden := func(sample model.Sample) bool { return contains(spans, sample.Time) }
	return slices.ContainsFunc(d.closed, func(b chunk.Block) bool { return overlaps(b.MinTime(), b.MaxTime()) }) ||
		d.open.Count() > 0 && overlaps(d.open.MinTime(), d.open.MaxTime()) ||
		slices.ContainsFunc(d.tail, hidden) || slices.ContainsFunc(d.late, hidden)
}

// encodeRest appends those samples of a block that are in no span to the blocks of d. If these are all, it
// does nothing and returns true: the block can be taken as it is.
func (d *data) encodeRest(block chunk.Block, spans []model.Span) (whole bool, err error) {
	first, last := block.MinTime(), block.MaxTime()
	whole = true
	for _, s := range spans {
		if s.From <= first && last < s.To {
			return false, nil // nothing is left
		}
		whole = whole && !s.Overlaps(first, last+1)
	}
	if whole {
		return true, nil
	}
	times, values, err := block.Decode(nil, nil)
	if err != nil {
		return false, fmt.Errorf("decode a block of the head: %w", err)
	}
	kept := 0
	for i, time := range times {
		if !contains(spans, time) {
			times[kept], values[kept] = time, values[i]
			kept++
		}
	}
	if kept == len(times) {
		return true, nil
	}
	d.encode(times[:kept], values[:kept])
	return false, nil
}

func contains(spans []model.Span, time int64) bool {
	return slices.ContainsFunc(spans, func(s model.Span) bool { return s.Contains(time) })
}
