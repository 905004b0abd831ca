package head

import "github.com/flopynet/collector/model"

// Applier writes samples into some of a head's shards. Appliers of disjoint shards may run at the same
// time; one Applier must not.
type Applier struct {
	head *Head
	from int // first shard
	to   int // behind the last shard

	period int64   // see SetPeriod
	order  []int32 // indexes of the batch's samples, grouped by shard
	starts [shardCount + 1]int32
}

// Appliers returns n appliers, at most one a shard, that together cover all shards.
func (h *Head) Appliers(n int) []*Applier {
	n = max(1, min(n, shardCount))
	appliers := make([]*Applier, n)
	for i := range appliers {
		appliers[i] = &Applier{head: h, from: i * shardCount / n, to: (i + 1) * shardCount / n}
	}
	return appliers
}

// SetPeriod sets what Freeze compares its period with for series written from now on.
func (a *Applier) SetPeriod(period int64) { a.period = period }

// Apply stores those samples of a batch whose series are in the applier's shards, in the batch's order
// for each series. The three slices are columns of equal length.
func (a *Applier) Apply(ids []model.SeriesID, times []int64, values []float64) {
	a.group(ids)
	for number := a.from; number < a.to; number++ {
		group := a.order[a.starts[number]:a.starts[number+1]]
		if len(group) == 0 {
			continue
		}
		sh := &a.head.shards[number]
		added := int64(0)
		sh.mu.Lock()
		for _, i := range group {
			s := sh.findOrAdd(ids[i])
			if s.cur == nil {
				s.cur = newData(s.frozen)
			}
			s.cur.period = a.period
			if s.cur.add(times[i], values[i]) {
				added++
			}
		}
		sh.mu.Unlock()
		sh.samples.Add(added)
	}
}

// group fills order and starts by a counting sort, so that each shard is locked once a batch and the
// samples of a series keep their order.
func (a *Applier) group(ids []model.SeriesID) {
	var counts [shardCount]int32
	for _, id := range ids {
		counts[shardOf(id)]++
	}
	var total int32
	var next [shardCount]int32
	for number := range shardCount {
		a.starts[number], next[number] = total, total
		if number >= a.from && number < a.to {
			total += counts[number]
		}
	}
	a.starts[shardCount] = total
	if cap(a.order) < int(total) {
		a.order = make([]int32, total)
	}
	a.order = a.order[:total]
	for i, id := range ids {
		number := shardOf(id)
		if number >= a.from && number < a.to {
			a.order[next[number]] = int32(i)
			next[number]++
		}
	}
}
