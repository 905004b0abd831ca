package engine

import (
	"context"
	"errors"
	"reflect"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/flopynet/collector/model"
)

// cancelledAfter is a context that ends when it has been looked at so many times.
type cancelledAfter struct {
	context.Context
	left atomic.Int64
}

func (c *cancelledAfter) Err() error {
	if c.left.Add(-1) < 0 {
		return context.Canceled
	}
	return nil
}

// budgetDB has one series of one day: chunks of so many samples.
func budgetDB(t *testing.T, chunks, samples int, opts Options) (*DB, Selection) {
	t.Helper()
	opts.FS, opts.MinChunkSamples, opts.MaintainInterval = vfs.NewMem(), 1, -1
	db := mustOpen(t, opts)
	t.Cleanup(func() { closeDB(t, db) })
	id, err := db.Resolve("m", model.Tags{{Key: "host", Value: "a"}})
	if err != nil {
		t.Fatal(err)
	}
	for k := range chunks {
		var batch Batch
		for i := range samples {
			at := int64(k*samples + i)
			batch.Add(id, worldStart+at*1e6, float64(at))
		}
		if err := db.Write(&batch); err != nil {
			t.Fatal(err)
		}
		if err := db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	return db, Selection{Matchers: []*model.Matcher{model.EqualMatcher(model.NameKey, "m")}, From: worldStart, To: worldStart + day}
}

func readsOf(db *DB, s Selection) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"percentile": func(ctx context.Context) error {
			_, err := db.Aggregate(ctx, AggregateRequest{Selection: s, Edges: []int64{s.From, s.To}, Functions: []Function{{Kind: Quantile, Quantile: 0.5}}})
			return err
		},
		"samples": func(ctx context.Context) error {
			_, err := db.Samples(ctx, SamplesRequest{Selection: s, Limit: 1 << 20})
			return err
		},
	}
}

// TestCancelledInsideASeries ends a read's context while it is in a series of fifty chunks: it decodes no more
// than a chunk for each time it has looked.
func TestCancelledInsideASeries(t *testing.T) {
	const chunks, samples = 50, 40
	db, s := budgetDB(t, chunks, samples, Options{})
	for name, read := range readsOf(db, s) {
		before := db.Stats().QuerySamples
		if err := read(t.Context()); err != nil {
			t.Fatal(err)
		}
		if all := db.Stats().QuerySamples - before; all != chunks*samples {
			t.Errorf("%s: %d samples were decoded, want %d", name, all, chunks*samples)
		}
		const looks = 8
		ctx := &cancelledAfter{Context: t.Context()}
		ctx.left.Store(looks)
		before = db.Stats().QuerySamples
		if err := read(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
		if decoded := db.Stats().QuerySamples - before; decoded == 0 || decoded > looks*samples {
			t.Errorf("%s: %d samples were decoded after %d looks at the context, of chunks of %d", name, decoded, looks, samples)
		}
	}
}

// TestQueryLimits exceeds each limit, and raises it.
func TestQueryLimits(t *testing.T) {
	const chunks, samples = 5, 20_000
	for limit, change := range map[string]func(*Tuning, int64){
		"query.max_samples": func(tuning *Tuning, n int64) { tuning.MaxQuerySamples = n },
		"query.max_bytes":   func(tuning *Tuning, n int64) { tuning.MaxQueryBytes = n },
		"all":               func(tuning *Tuning, n int64) { tuning.MaxQueriesBytes = n },
	} {
		db, s := budgetDB(t, chunks, samples, Options{})
		tuning := db.Tuning()
		for name, read := range readsOf(db, s) {
			change(&tuning, chunks*samples-1)
			if err := db.Reconfigure(tuning); err != nil {
				t.Fatal(err)
			}
			err := read(t.Context())
			exceeded, _ := errors.AsType[*LimitError](err)
			if full := errors.Is(err, ErrQueriesFull); full != (limit == "all") || !full && (exceeded == nil || exceeded.Limit != limit) {
				t.Errorf("%s, limit %s: %v", name, limit, err)
			}
			change(&tuning, 1<<30)
			if err := db.Reconfigure(tuning); err != nil {
				t.Fatal(err)
			}
			if err := read(t.Context()); err != nil {
				t.Errorf("%s, limit %s raised: %v", name, limit, err)
			}
			if held := db.Stats().QueryBytes; held != 0 {
				t.Errorf("%s: %d bytes are held by no query", name, held)
			}
		}
	}
}

// TestQueryBytesAreAbout holds the estimate between what must be held, the samples themselves, and all that was
// allocated meanwhile.
func TestQueryBytesAreAbout(t *testing.T) {
	const chunks, samples = 5, 20_000
	db, s := budgetDB(t, chunks, samples, Options{Workers: 1})
	tuning := db.Tuning()
	for name, read := range readsOf(db, s) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := read(t.Context()); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		for limit, want := range map[int64]bool{8 * chunks * samples: false, int64(after.TotalAlloc - before.TotalAlloc): true} {
			tuning.MaxQueryBytes = limit
			if err := db.Reconfigure(tuning); err != nil {
				t.Fatal(err)
			}
			if err := read(t.Context()); (err == nil) != want {
				t.Errorf("%s with at most %d bytes: %v", name, limit, err)
			}
		}
		tuning.MaxQueryBytes = 1 << 30
		if err := db.Reconfigure(tuning); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPercentileBytesOfManyBuckets holds that what a bucket keeps besides its values counts, too.
func TestPercentileBytesOfManyBuckets(t *testing.T) {
	const samples = 20_000
	db, s := budgetDB(t, 1, samples, Options{Workers: 1})
	request := AggregateRequest{Selection: s, Functions: []Function{{Kind: Quantile, Quantile: 0.5}}}
	for i := range int64(samples + 1) {
		request.Edges = append(request.Edges, worldStart+i*1e6)
	}
	tuning := db.Tuning()
	tuning.MaxQueryBytes = samples * int64(reflect.TypeFor[partial]().Size()+reflect.TypeFor[distribution]().Size()+8)
	if err := db.Reconfigure(tuning); err != nil {
		t.Fatal(err)
	}
	_, err := db.Aggregate(t.Context(), request)
	if exceeded, _ := errors.AsType[*LimitError](err); exceeded == nil || exceeded.Limit != "query.max_bytes" {
		t.Errorf("with at most %d bytes: %v", tuning.MaxQueryBytes, err)
	}
}
