package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/flopynet/collector/internal/merge"
	"github.com/flopynet/collector/model"
)

// Samples returns raw samples of all series that match, in the order (time, series id).
func (db *DB) Samples(ctx context.Context, r SamplesRequest) (*SamplesResult, error) {
	if err := db.enter(); err != nil {
		return nil, err
	}
	defer db.leave()
	if r.Limit < 1 {
		return nil, fmt.Errorf("limit is %d, it must be at least 1", r.Limit)
	}
	r.From = max(r.From, r.After.Time, model.MinTime)
	r.To = min(r.To, model.MaxTime+1)
	return consistently(db, func() (*SamplesResult, error) { return db.samples(ctx, r) })
}

// samples is Samples for a request that was checked.
func (db *DB) samples(ctx context.Context, r SamplesRequest) (*SamplesResult, error) {
	all, err := db.find(ctx, r.Selection)
	if err != nil {
		return nil, err
	}
	result := &SamplesResult{}
	if result.Series, err = db.describe(all.ids); err != nil {
		return nil, err
	}
	page := &page{request: &r, to: r.To, budget: db.newBudget()}
	defer page.budget.close()
	if err := page.budget.spend(0, int64(len(all.ids))*(seriesBytes+sampleBytes)); err != nil {
		return nil, err
	}
	for begin := 0; begin < len(all.ids); begin += pinGroup {
		if err := page.read(ctx, db, all.part(begin, min(begin+pinGroup, len(all.ids))), begin); err != nil {
			return nil, err
		}
	}
	page.trim()
	result.Rows = page.rows
	if result.More = page.dropped; result.More {
		last := result.Rows[len(result.Rows)-1]
		result.Next = Cursor{Time: last.Time, Series: all.ids[last.Series]}
	}
	return result, nil
}

// page gathers the first rows of a request. Once it has enough, it narrows the range to what can still
// be among them, so that it never holds more than a few times the limit.
type page struct {
	request *SamplesRequest
	to      int64 // rows at or after it can't be among the first
	rows    []Row
	dropped bool // there were more rows than the limit
	times   []int64
	values  []float64
	budget  *budget
	held    int64 // bytes that are in the budget
}

// read takes in the series of part, whose first has the given number in the result.
func (p *page) read(ctx context.Context, db *DB, part found, number int) (err error) {
	pin := db.pin(part, p.request.From, p.to)
	defer func() { err = errors.Join(err, pin.close()) }()
	for _, partition := range pin.partitions {
		if begin, _ := model.TierRaw.Bounds(partition); begin >= p.to {
			break
		}
		if err := p.partition(ctx, pin, partition, number); err != nil {
			return err
		}
		p.trim()
	}
	return nil
}

func (p *page) partition(ctx context.Context, pin *pin, partition model.Partition, number int) (err error) {
	r, err := newPartitionReader(pin, partition, p.request.From, p.to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	for i, id := range pin.ids {
		if err := r.load(i); err != nil {
			return err
		}
		from := max(r.from, pin.floor(i))
		err := r.runs.Clusters(from, r.to, func(cluster merge.Cluster) error {
			if err := ctx.Err(); err != nil { // chunk by chunk: a series may have very many
				return err
			}
			var err error
			p.times, p.values, err = cluster.Append(p.times[:0], p.values[:0], from, min(r.to, p.to))
			if err != nil {
				return errors.Join(ErrCorrupt, err)
			}
			p.add(number+i, id)
			_, decoded := cluster.Blocks()
			return p.spend(int64(max(decoded, len(p.times))))
		})
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("series %d: %w", id, err)
		}
	}
	return nil
}

// spend accounts for samples that were read, and for the memory held now.
func (p *page) spend(read int64) error {
	held := int64(cap(p.rows))*rowBytes + int64(cap(p.times)+cap(p.values))*sampleBytes/2
	err := p.budget.spend(read, held-p.held)
	p.held = held
	return err
}

// add takes in the decoded samples of one series.
func (p *page) add(number int, id model.SeriesID) {
	after := p.request.After
	for i, time := range p.times {
		if time == after.Time && id <= after.Series && after != (Cursor{}) || model.IsStale(p.values[i]) {
			continue
		}
		p.rows = append(p.rows, Row{Series: number, Sample: model.Sample{Time: time, Value: p.values[i]}})
	}
	if len(p.rows) > 2*p.request.Limit+4096 {
		p.trim()
	}
}

// trim sorts the rows and drops those behind the limit.
func (p *page) trim() {
	slices.SortFunc(p.rows, func(a, b Row) int { return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.Series, b.Series)) })
	if limit := p.request.Limit; len(p.rows) > limit {
		p.rows = p.rows[:limit]
		p.dropped = true
		p.to = min(p.to, p.rows[limit-1].Time+1)
	}
}
