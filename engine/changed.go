package engine

import (
	"cmp"
	"slices"

	"github.com/flopynet/collector/internal/rollup"
	"github.com/flopynet/collector/model"
)

// changed returns the spans of a step, in time order and of whole hours, in which the points of series
// number i don't tell the truth, beside those noted already: it has samples there that are not flushed, or
// changes not rolled up again.
func (t *workerTask) changed(i int, s step) []model.Span {
	id := t.pin.ids[i]
	for _, change := range t.pin.stored.changes {
		if change.hour < s.to && change.hour+hour > s.from && change.series.Contains(id) {
			t.noteSpan(s, change.hour, change.hour+1)
		}
	}
	for _, deleted := range t.pin.tombstones {
		if deleted.series.Contains(id) {
			t.noteSpan(s, deleted.From, deleted.To)
		}
	}
	for _, view := range t.pin.views[i] {
		for _, block := range view.Blocks {
			t.noteSamples(s, block.MinTime(), block.MaxTime()+1)
		}
		for _, samples := range [][]model.Sample{view.Tail, view.Late} {
			for _, sample := range samples {
				t.noteSamples(s, sample.Time, sample.Time+1)
			}
		}
	}
	return joinSpans(t.spans)
}

// noteBreaks notes the points that rate, increase and delta can't be had from: there the samples have to
// tell. Where these are gone, the answer is not exact.
func (t *workerTask) noteBreaks(s step, c *rollup.Columns) {
	lo, hi := pointsIn(c.Starts, s.from, s.to)
	for i := lo; i < hi; i++ {
		if followable(c, i) {
			continue
		}
		if _, stored := t.raw[model.TierRaw.PartitionOf(c.Starts[i])]; stored {
			t.noteSpan(s, c.Starts[i], c.Starts[i]+s.tier.Width())
		} else {
			t.q.inexact.Store(true)
		}
	}
}

// noteSamples is noteSpan for what the head holds, which is nothing where raw samples have expired.
func (t *workerTask) noteSamples(s step, from, to int64) {
	if _, known := t.raw[model.TierRaw.PartitionOf(from)]; known {
		t.noteSpan(s, from, to)
	}
}

// noteSpan adds the hours that [from, to) touches within the step.
func (t *workerTask) noteSpan(s step, from, to int64) {
	from, to = max(from-from%hour, s.from), min(to+(hour-to%hour)%hour, s.to)
	if from >= to {
		return
	}
	if n := len(t.spans); n > 0 && t.spans[n-1].From <= from && from <= t.spans[n-1].To {
		t.spans[n-1].To = max(t.spans[n-1].To, to)
		return
	}
	t.spans = append(t.spans, model.Span{From: from, To: to})
}

// joinSpans sorts spans and joins those that touch.
func joinSpans(spans []model.Span) []model.Span {
	slices.SortFunc(spans, func(a, b model.Span) int { return cmp.Compare(a.From, b.From) })
	joined := spans[:0]
	for _, span := range spans {
		if n := len(joined); n > 0 && span.From <= joined[n-1].To {
			joined[n-1].To = max(joined[n-1].To, span.To)
			continue
		}
		joined = append(joined, span)
	}
	return joined
}
