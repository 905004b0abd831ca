package bench

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

const (
	scaleBatch = 5000 // samples of a write
	scaleSteps = 4    // samples of each series when memory is measured
)

// population is some number of series, ten for each host, with ten tags and a source. Ten hosts share a rack and a
// hundred a row, however many there are.
type population struct {
	size   int
	steps  int // samples of each series
	start  time.Time
	metric int // that questions are about
}

// newPopulation makes one with a million samples or more, but at most 200 of a series.
func newPopulation(size int, start time.Time) *population {
	return &population{size: size, steps: max(scaleSteps, min(200, 1_000_000/size)), start: start, metric: 3}
}

// now is when all is written: a day after the first sample.
func (p *population) now() time.Time { return p.start.Add(24 * time.Hour) }

// at is the time of a step, in nanoseconds since the epoch.
func (p *population) at(number int) int64 { return p.start.UnixNano() + int64(number)*int64(step) }

// value is that of a series at a step, in hundredths, without a state to be kept for each of a million.
func (p *population) value(series, number int) float64 {
	return float64((series*7919+number*13)%10_000) / 100
}

// identities appends the series from one number to another.
func (p *population) identities(list []engine.Resolution, from, to int) []engine.Resolution {
	var tags model.Tags
	for series := from; series < to; series++ {
		host := series / perHost
		if tags == nil || series%perHost == 0 {
			tags = model.Normalize(model.Tags{
				{Key: "arch", Value: []string{"x64", "x86"}[host%2]},
				{Key: "datacenter", Value: "eu-west-1" + string(rune('a'+host%3))},
				{Key: "host", Value: hostName(host)},
				{Key: "os", Value: "Ubuntu16.04LTS"},
				{Key: "rack", Value: strconv.Itoa(host / 10)},
				{Key: "region", Value: "eu-west-1"},
				{Key: "row", Value: strconv.Itoa(host / 100)},
				{Key: "service_environment", Value: "production"},
				{Key: "service_version", Value: strconv.Itoa(host % 2)},
				{Key: "team", Value: []string{"SF", "LON", "NYC", "CHI"}[host%4]},
				{Key: model.SourceKey, Value: "bench"},
			})
		}
		list = append(list, engine.Resolution{Name: metricName(series % perHost), Tags: tags})
	}
	return list
}

// sum counts and adds up all samples of the metric that questions are about, of some hosts.
func (p *population) sum(of func(host int) bool) (count int, sum float64) {
	for host := range p.size / perHost {
		if !of(host) {
			continue
		}
		for number := range p.steps {
			sum += p.value(host*perHost+p.metric, number)
		}
		count += p.steps
	}
	return count, sum
}

// writeNew writes the first sample of all series and keeps their ids. Only what the engine does is in the effort.
func (p *population) writeNew(ctx context.Context, db *engine.DB, ids []model.SeriesID) (all effort, err error) {
	list := make([]engine.Resolution, 0, scaleBatch)
	var batch engine.Batch
	for from := 0; from < p.size; from += scaleBatch {
		list = p.identities(list[:0], from, min(from+scaleBatch, p.size))
		took, err := measured(func() error {
			if err := db.ResolveAll(list); err != nil {
				return err
			}
			batch.Reset()
			for i := range list {
				if list[i].Err != nil {
					return list[i].Err
				}
				ids[from+i] = list[i].ID
				batch.Add(list[i].ID, p.at(0), p.value(from+i, 0))
			}
			return db.Write(&batch)
		})
		if err := errors.Join(err, ctx.Err()); err != nil {
			return effort{}, err
		}
		all.add(took)
	}
	return all, nil
}

// writeKnown writes the samples of all series from one step to another.
func (p *population) writeKnown(ctx context.Context, db *engine.DB, ids []model.SeriesID, from, to int) (all effort, err error) {
	var batch engine.Batch
	for number := from; number < to; number++ {
		for i, id := range ids {
			batch.Add(id, p.at(number), p.value(i, number))
			if last := i == p.size-1 && number == to-1; batch.Len() < scaleBatch && !last {
				continue
			}
			took, err := measured(func() error { return db.Write(&batch) })
			if err := errors.Join(err, ctx.Err()); err != nil {
				return effort{}, err
			}
			all.add(took)
			batch.Reset()
		}
	}
	return all, nil
}
