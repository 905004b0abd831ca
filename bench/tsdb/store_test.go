package tsdb

import (
	"context"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	promtsdb "github.com/prometheus/prometheus/tsdb"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// store is a store that is filled in time order.
type store interface {
	write() int // one sample for each series; how many these are
	close()     // checks that all is there
}

// feed gives both stores the same samples: values again and again, a round every step.
type feed struct {
	tb     testing.TB
	values [][]float64
	at     int64
}

// next returns the time of the next round and its values, one for each series.
func (f *feed) next() (at int64, values []float64) {
	at = f.at
	f.at += step
	return at, f.values[int((at-start)/step)%len(f.values)]
}

// identities calls fn for the series of a feed, in its order.
func (f *feed) identities(fn func(metric string, tags [][2]string)) {
	for host := range hosts {
		for metric := range len(f.values[0]) / hosts {
			fn(metricName(metric), tagsOf(host))
		}
	}
}

type ourStore struct {
	feed
	db    *engine.DB
	ids   []model.SeriesID
	batch engine.Batch
}

// openOurs opens a store that writes its log and doesn't fsync it.
func openOurs(tb testing.TB, values [][]float64, opts engine.Options) *ourStore {
	opts.Sync, opts.MinFreeBytes = engine.SyncOff, -1
	db, err := engine.Open(tb.TempDir(), opts)
	if err != nil {
		tb.Fatal(err)
	}
	s := &ourStore{feed: feed{tb, values, start}, db: db}
	s.identities(func(metric string, pairs [][2]string) {
		var tags model.Tags
		for _, pair := range pairs {
			tags = append(tags, model.Tag{Key: pair[0], Value: pair[1]})
		}
		id, err := db.Resolve(metric, tags)
		if err != nil {
			tb.Fatal(err)
		}
		s.ids = append(s.ids, id)
	})
	return s
}

func (s *ourStore) write() int {
	s.batch.Reset()
	at, values := s.next()
	for k, v := range values {
		s.batch.Add(s.ids[k], at, v)
	}
	if err := s.db.Write(&s.batch); err != nil {
		s.tb.Fatal(err)
	}
	return len(values)
}

func (s *ourStore) close() {
	result, err := s.db.Aggregate(context.Background(), engine.AggregateRequest{
		Selection: engine.Selection{Matchers: []*model.Matcher{model.EqualMatcher(model.NameKey, metricName(0))}, From: start, To: s.at},
		Edges:     []int64{start, s.at},
		Functions: []engine.Function{{Kind: engine.Count}},
	})
	if want := float64(hosts * (s.at - start) / step); err != nil || result.Groups[0].Values[0] != want {
		s.tb.Fatalf("%+v, %v; want %v samples", result, err, want)
	}
	if err := s.db.Close(); err != nil {
		s.tb.Fatal(err)
	}
}

type theirStore struct {
	feed
	db     *promtsdb.DB
	series []labels.Labels
	refs   []storage.SeriesRef
}

func openTheirs(tb testing.TB, values [][]float64) *theirStore {
	opts := promtsdb.DefaultOptions()
	opts.RetentionDuration = 1 << 50 // the workload's times are long past
	db, err := promtsdb.Open(tb.TempDir(), nil, nil, opts, nil)
	if err != nil {
		tb.Fatal(err)
	}
	db.DisableCompactions()
	s := &theirStore{feed: feed{tb, values, start}, db: db}
	s.identities(func(metric string, tags [][2]string) {
		pairs := []string{labels.MetricName, metric}
		for _, tag := range tags {
			pairs = append(pairs, tag[0], tag[1])
		}
		s.series = append(s.series, labels.FromStrings(pairs...))
	})
	s.refs = make([]storage.SeriesRef, len(s.series))
	return s
}

func (s *theirStore) write() int {
	at, values := s.next()
	app := s.db.Appender(context.Background())
	for k, v := range values {
		ref, err := app.Append(s.refs[k], s.series[k], at/1e6, v)
		if err != nil {
			s.tb.Fatal(err)
		}
		s.refs[k] = ref
	}
	if err := app.Commit(); err != nil {
		s.tb.Fatal(err)
	}
	return len(values)
}

func (s *theirStore) close() {
	if got := s.db.Head().NumSeries(); got != uint64(len(s.series)) {
		s.tb.Fatalf("the head has %d series", got)
	}
	if err := s.db.Close(); err != nil {
		s.tb.Fatal(err)
	}
}
