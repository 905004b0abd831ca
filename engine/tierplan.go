package engine

import (
	"slices"
	"sort"
	"time"

	"github.com/flopynet/collector/model"
)

// step is a part of a query's range that is read from one partition of one tier.
type step struct {
	tier      model.Tier
	partition model.Partition
	from, to  int64
	exact     bool // false: the tier is only the nearest to what was asked for
}

// tierPlan decides which tier answers for which part of a range: the coarsest whose points lie inside the
// request's buckets, the raw samples elsewhere, and where these have expired, the nearest points there are.
type tierPlan struct {
	edges    []int64 // ascending; the range's ends and the buckets' edges
	from, to int64
	serves   [model.Tiers]bool // which tiers can give the functions asked for
	floors   floors

	raw   map[model.Partition]partitionMeta // what is stored, or in the head
	tiers [model.Tiers]map[model.Partition]bool
}

// hour is the unit in which tiers are chosen and changes are marked.
const hour = int64(time.Hour)

// steps returns the plan, in time order. Parts in which nothing is stored or visible are left out.
func (p *tierPlan) steps() []step {
	var steps []step
	for _, day := range p.days() {
		begin, end := model.TierRaw.Bounds(day)
		begin, end = max(begin, p.from), min(end, p.to)
		for at := begin - begin%hour; at < end; at += hour {
			s, ok := p.choose(day, at, max(at, begin), min(at+hour, end))
			if !ok {
				continue
			}
			if n := len(steps); n > 0 && steps[n-1].joins(s) {
				steps[n-1].to = s.to
				continue
			}
			steps = append(steps, s)
		}
	}
	return steps
}

// joins reports whether next goes on where s ends, in the same place.
func (s step) joins(next step) bool {
	return s.tier == next.tier && s.partition == next.partition && s.to == next.from && s.exact == next.exact
}

// days returns the days of the range in which anything is stored.
func (p *tierPlan) days() []model.Partition {
	var days []model.Partition
	for day := range p.raw {
		days = append(days, day)
	}
	for _, tier := range []model.Tier{model.Tier5m, model.Tier1h} {
		for number := range p.tiers[tier] {
			begin, end := tier.Bounds(number)
			days = append(days, daysOf(max(begin, p.from), min(end, p.to))...)
		}
	}
	slices.Sort(days)
	return slices.Compact(days)
}

// choose decides about [from, to), a part of the hour that begins at start.
func (p *tierPlan) choose(day model.Partition, start, from, to int64) (step, bool) {
	meta, stored := p.raw[day]
	rolled := !stored || start+hour <= meta.RolledThrough
	has := func(tier model.Tier) bool {
		return rolled && start >= p.floors.tiers[tier] && p.tiers[tier][tier.PartitionOf(start)]
	}
	at := func(tier model.Tier, from int64, exact bool) (step, bool) {
		return step{tier: tier, partition: tier.PartitionOf(start), from: from, to: to, exact: exact}, true
	}
	width := p.finestCut(from, to)
	if width >= hour && p.serves[model.Tier1h] && has(model.Tier1h) {
		return at(model.Tier1h, from, true)
	}
	if width >= model.Tier5m.Width() && p.serves[model.Tier5m] && has(model.Tier5m) {
		return at(model.Tier5m, from, true)
	}
	// Where there are no points, raw samples that are hidden already stand for them.
	if stored && (from >= p.floors.tiers[model.TierRaw] || !has(model.Tier1h) && start >= p.floors.tiers[model.Tier1h]) {
		return at(model.TierRaw, from, true)
	}
	if p.serves[model.Tier5m] && has(model.Tier5m) {
		return at(model.Tier5m, start, false)
	}
	if has(model.Tier1h) {
		return at(model.Tier1h, start, false)
	}
	if floor := p.floors.tiers[model.TierRaw]; stored && floor < to {
		return at(model.TierRaw, max(from, floor), true)
	}
	return step{}, false
}

// finestCut returns the width of the widest points that neither the ends of the part nor an edge inside it
// cuts: an hour, five minutes, or nothing.
func (p *tierPlan) finestCut(from, to int64) int64 {
	width := min(cutWidth(from), cutWidth(to))
	first := sort.Search(len(p.edges), func(i int) bool { return p.edges[i] > from })
	for _, edge := range p.edges[first:] {
		if edge >= to || width == 0 {
			break
		}
		width = min(width, cutWidth(edge))
	}
	return width
}

// cutWidth returns the width of the widest points that the time doesn't cut.
func cutWidth(at int64) int64 {
	switch {
	case at%hour == 0:
		return hour
	case at%model.Tier5m.Width() == 0:
		return model.Tier5m.Width()
	default:
		return 0
	}
}
