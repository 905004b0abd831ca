package engine

import (
	"context"
	"fmt"

	"github.com/flopynet/collector/model"
)

// RetentionLoss says which raw samples that are visible now another retention policy would hide.
type RetentionLoss struct {
	Samples int64
	Days    int   // of UTC, that lose samples
	Before  int64 // all of them are older; ns since the epoch; 0: there are none
	FreedAt int64 // when their space comes back at the earliest; until then a longer retention brings them back
}

// RetentionLoss counts what SetRetention would hide, were it called now. Points that stay don't count as a
// loss, nor do they make up for one.
func (db *DB) RetentionLoss(ctx context.Context, policy RetentionPolicy) (RetentionLoss, error) {
	if err := policy.Validate(); err != nil {
		return RetentionLoss{}, err
	}
	now := db.opts.Now().UnixNano()
	end := model.MinTime
	for class := range policy.Classes() {
		end = max(end, policy.Floor(class, model.TierRaw, now))
	}
	c := lossCounter{db: db, policy: policy, now: now, days: make(map[model.Partition]bool)}
	c.loss.FreedAt = now + int64(db.opts.RetentionGrace)
	if end == model.MinTime {
		return c.loss, nil // nothing ever expires
	}
	names, err := db.MetricNames(ctx, Selection{From: model.MinTime, To: end})
	if err != nil {
		return RetentionLoss{}, fmt.Errorf("list the metrics: %w", err)
	}
	if err := db.enter(); err != nil {
		return RetentionLoss{}, err
	}
	defer db.leave()
	for _, name := range names {
		if err := c.metric(ctx, name, end); err != nil {
			return RetentionLoss{}, fmt.Errorf("count what %q would lose: %w", name, err)
		}
	}
	c.loss.Days = len(c.days)
	return c.loss, nil
}

type lossCounter struct {
	db     *DB
	policy RetentionPolicy
	now    int64
	loss   RetentionLoss
	days   map[model.Partition]bool
}

// metric counts what the series of a metric would lose. Those that lose the same range are counted together.
func (c *lossCounter) metric(ctx context.Context, name string, end int64) error {
	lost, err := consistently(c.db, func() (map[model.Span]map[model.Partition]int64, error) {
		parts, err := c.parts(ctx, name, end)
		lost := make(map[model.Span]map[model.Partition]int64)
		for span, part := range parts {
			if err == nil {
				lost[span], err = c.count(ctx, span, *part)
			}
		}
		return lost, err
	})
	if err != nil {
		return err
	}
	for span, days := range lost {
		for day, samples := range days {
			c.loss.Samples += samples
			c.loss.Before = max(c.loss.Before, span.To)
			c.days[day] = true
		}
	}
	return nil
}

// parts groups the series of a metric by the range that they would lose.
func (c *lossCounter) parts(ctx context.Context, name string, end int64) (map[model.Span]*found, error) {
	s := Selection{Matchers: []*model.Matcher{model.EqualMatcher(model.NameKey, name)}, From: model.MinTime, To: end}
	all, err := c.db.find(ctx, s)
	if err != nil {
		return nil, err
	}
	series, err := c.db.describe(all.ids)
	if err != nil {
		return nil, err
	}
	parts := make(map[model.Span]*found)
	for i := range series {
		now := all.floors[0]
		if all.classes != nil {
			now = all.floors[all.classes[i]]
		}
		class := c.policy.ClassOf(series[i].Name, series[i].Source())
		span := model.Span{From: now.tiers[model.TierRaw], To: c.policy.Floor(class, model.TierRaw, c.now)}
		if span.From >= span.To {
			continue
		}
		if parts[span] == nil {
			parts[span] = &found{name: name, floors: []floors{now}}
		}
		parts[span].ids = append(parts[span].ids, series[i].ID)
	}
	return parts, nil
}

// count counts what is visible of some series in a range, by day.
func (c *lossCounter) count(ctx context.Context, span model.Span, part found) (map[model.Partition]int64, error) {
	request := &AggregateRequest{Selection: Selection{From: span.From, To: span.To}, Functions: []Function{{Kind: Count}}}
	first := model.TierRaw.PartitionOf(span.From)
	for day, at := first, span.From; ; day++ {
		request.Edges = append(request.Edges, at)
		if at == span.To {
			break
		}
		_, end := model.TierRaw.Bounds(day)
		at = min(end, span.To)
	}
	q := aggregation{db: c.db, request: request, found: part, needs: needsOf(request.Functions, false),
		groups: 1, groupOf: make([]int, len(part.ids))}
	total, err := q.run(ctx)
	if err != nil {
		return nil, err
	}
	days := make(map[model.Partition]int64)
	for _, g := range finish(request, []model.Tags{nil}, total) {
		for i, bucket := range g.Buckets {
			days[first+model.Partition(bucket)] = int64(g.Values[i])
		}
	}
	return days, nil
}
