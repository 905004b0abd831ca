package engine

import (
	"context"
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/flopynet/collector/model"
)

// TestCancelledAnywhere ends each read's context at each time that it looks at that; closing the store then tells
// of a snapshot that was left open.
func TestCancelledAnywhere(t *testing.T) {
	db := mustOpen(t, Options{FS: vfs.NewMem(), MinChunkSamples: 1})
	defer closeDB(t, db)
	put(t, db, "m", "a", worldStart, 1)
	if err := db.Flush(); err != nil {
		t.Fatal(err)
	}
	put(t, db, "m", "b", worldStart+hour, 1)
	part := Selection{From: worldStart, To: worldStart + 2*hour} // of a day, so that samples are looked at
	named := part
	named.Matchers = []*model.Matcher{model.EqualMatcher(model.NameKey, "m")}
	request := AggregateRequest{Selection: named, Edges: []int64{named.From, named.To}, Functions: []Function{{Kind: Quantile, Quantile: 0.5}}}
	page := Page{Limit: 10}
	for name, list := range map[string]func(context.Context) error{
		"metric names": func(ctx context.Context) error { _, err := db.MetricNames(ctx, part); return err },
		"names":        func(ctx context.Context) error { _, err := db.Names(ctx, part, page); return err },
		"keys":         func(ctx context.Context) error { _, err := db.Keys(ctx, part, nil, page); return err },
		"values":       func(ctx context.Context) error { _, err := db.Values(ctx, part, "host", page); return err },
		"series":       func(ctx context.Context) error { _, err := db.SeriesList(ctx, part, page); return err },
		"cardinality":  func(ctx context.Context) error { _, err := db.Cardinality(ctx, part.From, part.To, 1); return err },
		"scan series": func(ctx context.Context) error {
			return db.ScanSeries(ctx, part, func(model.Series) error { return nil })
		},
		"samples": func(ctx context.Context) error {
			_, err := db.Samples(ctx, SamplesRequest{Selection: named, Limit: 10})
			return err
		},
		"aggregate": func(ctx context.Context) error { _, err := db.Aggregate(ctx, request); return err },
		"scan buckets": func(ctx context.Context) error {
			_, err := db.ScanBuckets(ctx, request, func(model.Series, Group) error { return nil })
			return err
		},
		"scan": func(ctx context.Context) error {
			return db.Scan(ctx, part, func(model.Series, []int64, []float64) error { return nil })
		},
	} {
		for looks := int64(0); ; looks++ {
			ctx := &cancelledAfter{Context: t.Context()}
			ctx.left.Store(looks)
			err := list(ctx)
			if err == nil {
				break
			}
			if !errors.Is(err, context.Canceled) || looks > 1000 {
				t.Fatalf("%s, after %d looks: %v", name, looks, err)
			}
		}
	}
}
