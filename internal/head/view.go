package head

import (
	"cmp"
	"math"
	"slices"

	"github.com/flopynet/collector/internal/chunk"
	"github.com/flopynet/collector/model"
)

// View is what a series held at one moment. Blocks are in time order, Tail is behind them, and Late
// wins over both where times are equal. Its parts are immutable.
type View struct {
	Blocks []chunk.Block
	Tail   []model.Sample
	Late   []model.Sample // in order of arrival; the last of equal times stands

	// Seq is the position of the log at which the samples were frozen, math.MaxUint64 if they are not. What
	// was deleted before they were written is not among them, so a delete concerns them if its position is
	// above Seq.
	Seq uint64
}

// SortLate brings the late samples into time order and leaves out those that were overwritten, on a copy.
func (v *View) SortLate() {
	late := slices.Clone(v.Late)
	slices.SortStableFunc(late, func(a, b model.Sample) int { return cmp.Compare(a.Time, b.Time) })
	kept := 0
	for i := range late {
		if i+1 < len(late) && late[i+1].Time == late[i].Time {
			continue
		}
		late[kept] = late[i]
		kept++
	}
	v.Late = late[:kept]
}

// view returns a view of the data that later writes don't change but in its tail, which a reader that
// holds no lock has to copy.
func (d *data) view() View {
	v := View{
		Blocks: d.closed[:len(d.closed):len(d.closed)],
		Tail:   d.tail,
		Late:   d.late[:len(d.late):len(d.late)],
	}
	if d.open.Count() > 0 {
		v.Blocks = append(v.Blocks, d.open.Block())
	}
	return v
}

// Views appends to dst what the series holds: nothing, or what is being flushed, then what came since.
// Later views win where times are equal.
func (h *Head) Views(dst []View, id model.SeriesID) []View {
	sh := &h.shards[shardOf(id)]
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	s := sh.find(id)
	if s == nil {
		return dst
	}
	for _, part := range [...]struct {
		data *data
		seq  uint64
	}{{s.frozen, sh.frozenAt}, {s.cur, math.MaxUint64}} {
		if part.data != nil {
			v := part.data.view()
			v.Tail = slices.Clone(v.Tail)
			v.Seq = part.seq
			dst = append(dst, v)
		}
	}
	return dst
}
