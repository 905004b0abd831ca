package engine

import (
	"fmt"
	"math"
	"runtime"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable/block"
)

// Tuning is what of the Options can be changed while a DB is open. A field that is zero means the default
// that Options gives for it.
type Tuning struct {
	MaxWaitingSamples int
	MaxGroupSamples   int
	FlushInterval     time.Duration
	Workers           int
	Uncompressed      bool
	MaxSeries         int
	MaxNewSeries      int
	MinFreeBytes      int64
	ResultCacheBytes  int64
	MaxQuerySamples   int64
	MaxQueryBytes     int64
	MaxQueriesBytes   int64
}

// tuning returns the part of the options that is a Tuning.
func (o Options) tuning() Tuning {
	return Tuning{
		MaxWaitingSamples: o.MaxWaitingSamples, MaxGroupSamples: o.MaxGroupSamples, FlushInterval: o.FlushInterval,
		Workers: o.Workers, Uncompressed: o.Uncompressed, MaxSeries: o.MaxSeries, MaxNewSeries: o.MaxNewSeries,
		MinFreeBytes: o.MinFreeBytes, ResultCacheBytes: o.ResultCacheBytes,
		MaxQuerySamples: o.MaxQuerySamples, MaxQueryBytes: o.MaxQueryBytes, MaxQueriesBytes: o.MaxQueriesBytes,
	}
}

func (t Tuning) withDefaults() Tuning {
	setDefault(&t.MaxWaitingSamples, 4<<20)
	setDefault(&t.MaxGroupSamples, maxBatchSamples)
	setDefault(&t.FlushInterval, 10*time.Minute)
	setDefault(&t.MinFreeBytes, 256<<20)
	setDefault(&t.MaxQuerySamples, 1_000_000_000)
	setDefault(&t.MaxQueryBytes, 512<<20)
	setDefault(&t.MaxQueriesBytes, 1<<30)
	setDefault(&t.Workers, runtime.GOMAXPROCS(0))
	return t
}

// validate reports the first field that makes no sense, by name.
func (t Tuning) validate() error {
	for _, field := range []struct {
		name  string
		value int64
	}{
		{"MaxWaitingSamples", int64(t.MaxWaitingSamples)},
		{"MaxGroupSamples", int64(t.MaxGroupSamples)},
		{"FlushInterval", int64(t.FlushInterval)},
		{"Workers", int64(t.Workers)},
		{"MaxSeries", int64(t.MaxSeries)},
		{"MaxNewSeries", int64(t.MaxNewSeries)},
		{"ResultCacheBytes", t.ResultCacheBytes},
		{"MaxQuerySamples", t.MaxQuerySamples},
		{"MaxQueryBytes", t.MaxQueryBytes},
		{"MaxQueriesBytes", t.MaxQueriesBytes},
	} {
		if field.value < 0 {
			return fmt.Errorf("option %s is %d, it must not be negative", field.name, field.value)
		}
	}
	if t.MaxGroupSamples > maxBatchSamples {
		return fmt.Errorf("option MaxGroupSamples is %d, it must be at most %d", t.MaxGroupSamples, maxBatchSamples)
	}
	return nil
}

// tuned is the tuning in force. It is replaced, never changed, so that who loads it needs no lock.
type tuned struct {
	Tuning

	// Periods are numbered on from here, so that their numbers go up whatever happens to FlushInterval.
	period int64
	since  int64 // when it began; ns
}

// periodAt returns the number of the span of FlushInterval that a time lies in.
func (t *tuned) periodAt(ns int64) int64 {
	return t.period + (ns-t.since)/int64(t.FlushInterval)
}

// Tuning returns the tuning in force, with its defaults.
func (db *DB) Tuning() Tuning { return db.tuned.Load().Tuning }

// Reconfigure puts another tuning in force at once, whole or, when it returns an error, not at all. What is
// under way comes to its end under the one before. Compression holds for what is written from now on.
func (db *DB) Reconfigure(t Tuning) error {
	if err := t.validate(); err != nil {
		return err
	}
	db.tuneMu.Lock()
	defer db.tuneMu.Unlock()
	before := db.tuned.Load()
	next := &tuned{Tuning: t.withDefaults(), period: before.period, since: before.since}
	if next.FlushInterval != before.FlushInterval {
		// A new period begins, so that what was busy a moment ago doesn't count as idle.
		now := db.opts.Now().UnixNano()
		next.period, next.since = before.periodAt(now)+1, now
	}
	db.tuned.Store(next)
	db.results.resize(next.ResultCacheBytes)
	if next.FlushInterval != before.FlushInterval {
		select {
		case db.retune <- struct{}{}:
		default: // the loop is about to look anyway
		}
	}
	db.checkSpace()
	return nil
}

// tableCompression says how the chunk store compresses the tables that it writes from now on. Its values
// are compressed already, so the fastest way is enough.
func (db *DB) tableCompression() pebble.DBCompressionSettings {
	if db.tuned.Load().Uncompressed {
		return pebble.DBCompressionNone
	}
	compression := pebble.DBCompressionFastest
	compression.Levels[0] = block.NoCompression // what is there is rewritten soon
	return compression
}

// compactions says how many compactions of the chunk store's tables may run side by side: one, and more
// when there is a lot to do.
func (db *DB) compactions() (least, most int) {
	return 1, min(db.tuned.Load().Workers, math.MaxInt16)
}
