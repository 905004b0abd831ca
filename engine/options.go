package engine

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/flopynet/collector/wal"
)

// SyncMode says when a write is flushed from the operating system to the disk.
type SyncMode uint8

// SyncAlways acknowledges after the fsync; SyncInterval and SyncOff acknowledge once the operating
// system has the data, which survives the end of the process but not that of the machine.
const (
	SyncAlways SyncMode = iota
	SyncInterval
	SyncOff
)

// Options configures a DB. The zero value is ready for use.
type Options struct {
	FS     vfs.FS           // nil: the operating system's
	Logger *slog.Logger     // nil: nothing is logged
	Now    func() time.Time // nil: time.Now

	Sync         SyncMode
	SyncInterval time.Duration // for SyncInterval; 0: 1 s

	// Retention says how long what is kept. Samples older than that are refused, and hidden at once;
	// RetentionGrace later they are dropped. Its zero value keeps and accepts all. 0: 1 hour.
	Retention      RetentionPolicy
	RetentionGrace time.Duration

	// MaxSeries bounds the series in memory and MaxNewSeries how many begin in a minute; past it, Resolve
	// refuses new ones. 0: no limit.
	MaxSeries    int
	MaxNewSeries int

	// MaxWaitingSamples bounds the samples that wait for their acknowledgement; past it, Write returns
	// ErrBusy. A single batch always fits. 0: 4 million.
	MaxWaitingSamples int

	// MaxGroupSamples bounds the samples that share a frame of the log and its fsync. Batches are kept whole:
	// one that is larger has a frame of its own. 0, and at most: 1,048,576.
	MaxGroupSamples int

	// Uncompressed leaves frames of the log and tables of the chunk store uncompressed. Chunks have a
	// compressed form of their own, which they keep.
	Uncompressed bool

	// FlushInterval and FlushSamples say when the head is written to chunks: whichever comes first.
	// Durability doesn't depend on them. 0: 10 minutes, 4 million samples.
	FlushInterval time.Duration
	FlushSamples  int

	// FlushEventBytes is how much memory events and kept answers that are not flushed take before the head is
	// flushed; at four times that, writes stop with ErrBehind. 0: 16 MiB.
	FlushEventBytes int64

	// EventRetention is how long events are kept. Older ones are refused, and hidden at once; RetentionGrace later
	// they are dropped. 0: for ever.
	EventRetention time.Duration

	// MaxAnswers bounds the answers to requests that are kept to be given again. 0: 100,000.
	MaxAnswers int

	// MinChunkSamples is how many samples make a chunk worth writing; a series with fewer stays in the
	// head and goes into the checkpoint's image. 0: 256.
	MinChunkSamples int

	// MaintainInterval is how often chunks are joined, rolled up and dropped, if there is need. 0: 1 minute;
	// negative: only when Maintain is called. RollupDelay is how long after its end an hour is rolled up;
	// samples that come later make it be done again. 0: 15 minutes. MaintainShare is how much of one
	// processor maintenance may take while it goes on, from 0 to 1. 0: 0.5.
	MaintainInterval time.Duration
	RollupDelay      time.Duration
	MaintainShare    float64

	// MaxWALBytes and MaxHeadSamples stop writes with ErrBehind when flushing can't keep up. 0: 2 GiB, and
	// four times FlushSamples. The log can't be held below 128 MiB.
	MaxWALBytes    int64
	MaxHeadSamples int

	// MinFreeBytes is the free disk space below which writes are refused. 0: 256 MiB; negative: no check.
	MinFreeBytes int64

	// Workers bounds the goroutines of one query and of recovery, and the compactions of the chunk store's
	// tables that run side by side. 0: GOMAXPROCS.
	Workers int

	// MaxExactSamples bounds the samples that one query's percentiles gather in memory; beyond it they come
	// from sketches. 0: 20 million.
	MaxExactSamples int

	// MaxResultPoints bounds the groups times buckets of one query, 144 bytes each. 0: 1 million.
	MaxResultPoints int

	// MaxQuerySamples bounds the samples and points that one read may decode, MaxQueryBytes the memory it may
	// take, by estimate; beyond either it fails with a LimitError. MaxQueriesBytes bounds the memory of all reads
	// under way and of what Holds have; beyond it one fails with ErrQueriesFull. 0: 1,000 million, 512 MiB, 1 GiB.
	MaxQuerySamples int64
	MaxQueryBytes   int64
	MaxQueriesBytes int64

	// CacheBytes is the size of the chunk store's block cache. 0: 64 MiB.
	CacheBytes int64

	// MaxWatchedSamples is how many of the newest samples are kept, while anybody watches, for watchers that fall
	// behind or come back: 40 bytes each. Events take the room of as many samples as they are large. 0: 512 Ki.
	MaxWatchedSamples int

	// ResultCacheBytes is the size of the cache of results. 0: none.
	ResultCacheBytes int64

	tableSamples int // for tests: from how many samples on a flush makes tables; 0: tableSamples
}

// minWALBytes is two segments: the newest is never removed, whatever is in it.
const minWALBytes = 2 * wal.DefaultSegmentBytes

// withDefaults fills in what was left zero.
func (o Options) withDefaults() Options {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	setDefault(&o.SyncInterval, time.Second)
	setDefault(&o.FlushSamples, 4<<20)
	setDefault(&o.FlushEventBytes, 16<<20)
	setDefault(&o.MaxAnswers, 100_000)
	setDefault(&o.MinChunkSamples, 256)
	setDefault(&o.MaxWALBytes, 2<<30)
	setDefault(&o.MaxHeadSamples, 4*o.FlushSamples)
	setDefault(&o.MaxExactSamples, 20_000_000)
	setDefault(&o.MaxResultPoints, 1_000_000)
	setDefault(&o.CacheBytes, 64<<20)
	setDefault(&o.MaxWatchedSamples, 512<<10)
	setDefault(&o.RetentionGrace, time.Hour)
	setDefault(&o.MaintainInterval, time.Minute)
	setDefault(&o.RollupDelay, 15*time.Minute)
	setDefault(&o.MaintainShare, 0.5)
	return o
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// validate reports the first option that makes no sense, by name.
func (o Options) validate() error {
	for _, field := range []struct {
		name  string
		value int64
	}{
		{"SyncInterval", int64(o.SyncInterval)},
		{"RetentionGrace", int64(o.RetentionGrace)},
		{"EventRetention", int64(o.EventRetention)},
		{"MaxAnswers", int64(o.MaxAnswers)},
		{"FlushEventBytes", o.FlushEventBytes},
		{"RollupDelay", int64(o.RollupDelay)},
		{"FlushSamples", int64(o.FlushSamples)},
		{"MinChunkSamples", int64(o.MinChunkSamples)},
		{"MaxWALBytes", o.MaxWALBytes},
		{"MaxHeadSamples", int64(o.MaxHeadSamples)},
		{"MaxExactSamples", int64(o.MaxExactSamples)},
		{"MaxResultPoints", int64(o.MaxResultPoints)},
		{"CacheBytes", o.CacheBytes},
		{"MaxWatchedSamples", int64(o.MaxWatchedSamples)},
	} {
		if field.value < 0 {
			return fmt.Errorf("option %s is %d, it must not be negative", field.name, field.value)
		}
	}
	if o.MaxWALBytes != 0 && o.MaxWALBytes < minWALBytes {
		return fmt.Errorf("option MaxWALBytes is %d, it must be at least %d: two segments", o.MaxWALBytes, minWALBytes)
	}
	if o.MaintainShare < 0 || o.MaintainShare > 1 {
		return fmt.Errorf("option MaintainShare is %v, it must be from 0 to 1", o.MaintainShare)
	}
	if err := o.tuning().validate(); err != nil {
		return err
	}
	if err := o.Retention.Validate(); err != nil {
		return err
	}
	if o.Sync > SyncOff {
		return fmt.Errorf("option Sync is %d, which is none of SyncAlways, SyncInterval and SyncOff", o.Sync)
	}
	return nil
}
