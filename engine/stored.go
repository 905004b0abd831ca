package engine

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/flopynet/collector/index"
	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/model"
)

// stored is what a pin's snapshot says of partitions and changes.
type stored struct {
	named   bool // the metric has a number, so there may be chunks
	raw     map[model.Partition]partitionMeta
	tiers   [model.Tiers]map[model.Partition]bool
	changes []changedHour // by hour
}

// changedHour names series whose points of an hour no longer hold.
type changedHour struct {
	hour   int64 // its start
	series *index.Set
}

// plan is how the series of a class are read.
type plan struct {
	steps   []step
	raw     map[model.Partition]partitionMeta // where they have raw samples
	through int64                             // before it, raw samples were dropped
}

// plans returns the plan for each class of the pin's series.
func (q *aggregation) plans(p *pin) ([]plan, error) {
	if err := p.readStored(q.from(), q.request.To); err != nil {
		return nil, err
	}
	plans := make([]plan, len(p.floors))
	for class, floors := range p.floors {
		raw := p.readable(floors)
		tiers := tierPlan{from: q.from(), to: q.request.To, floors: floors, tiers: p.stored.tiers, edges: q.edges(), raw: raw}
		tiers.serves[model.Tier5m] = !q.needs.values && !q.needs.sketch && !q.needs.moments
		tiers.serves[model.Tier1h] = !q.needs.values
		plans[class] = plan{steps: tiers.steps(), raw: raw, through: floors.through}
	}
	return plans, nil
}

// edges returns the buckets' edges, and the ends of the range where they cut a bucket.
func (q *aggregation) edges() []int64 {
	r := q.request
	if r.From == r.Edges[0] && r.To == r.Edges[len(r.Edges)-1] {
		return r.Edges
	}
	edges := append(slices.Clone(r.Edges), r.From, r.To)
	slices.Sort(edges)
	return edges
}

// readable returns the raw partitions that series with these floors may have samples in: not those from
// which they were dropped.
func (p *pin) readable(floors floors) map[model.Partition]partitionMeta {
	raw := make(map[model.Partition]partitionMeta, len(p.partitions))
	for _, day := range p.partitions {
		meta, stored := p.stored.raw[day] // not, if the day was dropped between the list and the snapshot
		if _, end := model.TierRaw.Bounds(day); end > floors.through && (stored || p.inHead[day]) {
			raw[day] = meta
		}
	}
	return raw
}

// readStored reads from the snapshot which partitions there are in [from, to) and what has changed in them.
func (p *pin) readStored(from, to int64) error {
	p.stored.raw = make(map[model.Partition]partitionMeta)
	p.stored.changes = nil
	rolled := false
	for tier := range model.Tier(model.Tiers) {
		p.stored.tiers[tier] = make(map[model.Partition]bool)
		if from >= to {
			continue
		}
		err := p.eachPartition(tier, from, to, func(number model.Partition, meta partitionMeta) {
			p.stored.tiers[tier][number] = true
			if tier == model.TierRaw {
				p.stored.raw[number] = meta
				rolled = rolled || meta.RolledThrough > 0
			}
		})
		if err != nil {
			return fmt.Errorf("read the partitions of tier %s: %w", tier, err)
		}
	}
	if !rolled {
		return nil
	}
	return index.EachDirty(p.snapshot, model.TierRaw, model.TierRaw.PartitionOf(from), model.TierRaw.PartitionOf(to-1),
		func(d keys.Dirty, set *index.Set) error {
			p.stored.changes = append(p.stored.changes, changedHour{d.Hour * hour, set})
			return nil
		})
}

func (p *pin) eachPartition(tier model.Tier, from, to int64, fn func(model.Partition, partitionMeta)) error {
	it, err := p.snapshot.NewIter(&pebble.IterOptions{
		LowerBound: keys.AppendPartition(nil, tier, tier.PartitionOf(from)),
		UpperBound: keys.AppendPartition(nil, tier, tier.PartitionOf(to-1)+1),
	})
	if err != nil {
		return err
	}
	for it.First(); it.Valid() && err == nil; it.Next() {
		var number model.Partition
		var value []byte
		var meta partitionMeta
		if _, number, err = keys.ParsePartition(it.Key()); err == nil {
			value, err = it.ValueAndErr()
		}
		if err == nil {
			meta, err = decodePartitionMeta(value)
		}
		if err == nil {
			fn(number, meta)
		}
	}
	return errors.Join(err, it.Error(), it.Close())
}
