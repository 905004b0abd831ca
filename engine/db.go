package engine

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/flopynet/collector/index"
	"github.com/flopynet/collector/internal/head"
	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/model"
	"github.com/flopynet/collector/wal"
)

// DB is an open data directory. All methods may be called from any goroutine.
type DB struct {
	dir  string
	opts Options

	lock         io.Closer
	chunks       *pebble.DB
	tableOptions *pebble.Options // of the chunk store, for tables that are made for it
	tableSamples int             // from how many samples on a flush makes tables
	log          *wal.Log
	active       *index.Active
	head         *head.Head

	useMu  sync.RWMutex // held for reading while the chunk store is used
	closed bool

	pipe  *pipeline
	watch *watchHub

	snapshotMu sync.Mutex // one snapshot is made or deleted at a time

	tuneMu sync.Mutex // held by Reconfigure
	tuned  atomic.Pointer[tuned]
	retune chan struct{} // holds one token: FlushInterval was changed

	querySamples atomic.Int64 // that reads have decoded
	queryBytes   atomic.Int64 // that reads under way hold
	valueBlocks  valueBlocks
	buffers      sync.Pool // of *buffers

	waiting  atomic.Int64 // samples between admit and acknowledgement
	peak     atomic.Int64 // of waiting, since TakeWaitingPeak
	accepted atomic.Uint64
	failure  atomic.Pointer[error]
	diskFull atomic.Bool

	fsyncs fsyncTimes
	oldest oldestInHead

	flush       flushState
	store       storeState
	jobs        jobState
	tombstones  tombstones
	expiry      expiryState
	events      eventHead
	answers     answers
	limits      seriesLimits
	changes     hourChanges
	results     *resultCache
	eventExpiry atomic.Pointer[eventExpiry]
	epoch       atomic.Uint64             // see Epoch
	dropping    atomic.Pointer[index.Set] // series that are about to go from memory; nil: none
	resolveMu   sync.RWMutex              // held while series go
	goroutines  sync.WaitGroup
	stop        chan struct{} // closed by Close
	closeOnce   sync.Once
	closeErr    error
}

// storeState is what the engine remembers of the chunk store's contents.
type storeState struct {
	mu         sync.RWMutex
	names      map[string]uint64 // metric name -> nameID
	nameOf     map[uint64]string // the inverse
	partitions [model.Tiers]map[model.Partition]*partition
}

// Open opens the data directory, making it if need be, and recovers what the log holds beyond the last
// checkpoint. ErrLocked means that another process has it.
func Open(dir string, opts Options) (_ *DB, err error) {
	if err := opts.validate(); err != nil {
		return nil, err
	}
	opts = opts.withDefaults()
	db := &DB{
		dir:          dir,
		opts:         opts,
		head:         head.New(),
		stop:         make(chan struct{}),
		tableSamples: cmp.Or(opts.tableSamples, tableSamples),
		results:      newResultCache(opts.ResultCacheBytes),
		answers:      answers{most: opts.MaxAnswers, byKey: make(map[[32]byte]*keptAnswer)},
	}
	db.watch = newWatchHub(db, opts.MaxWatchedSamples)
	if err := db.SetEventRetention(opts.EventRetention); err != nil {
		return nil, err
	}
	db.tuned.Store(&tuned{Tuning: opts.tuning().withDefaults()})
	db.retune = make(chan struct{}, 1)
	db.oldest.init()
	db.jobs.request = make(chan struct{}, 1)
	db.jobs.sweep = true // an earlier process may not have come to it
	db.flush.request = make(chan struct{}, 1)
	defer func() {
		if err != nil {
			db.dropBallast(err)
			err = errors.Join(err, db.closeFiles())
		}
	}()
	if err := makeDir(opts.FS, dir); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	if db.lock, err = opts.FS.Lock(opts.FS.PathJoin(dir, "LOCK")); err != nil {
		return nil, lockError(dir, err)
	}
	if err := checkVersion(opts.FS, dir); err != nil {
		return nil, err
	}
	if err := db.removeUnfinishedSnapshots(); err != nil {
		opts.Logger.Warn("unfinished snapshots can't be removed", "err", err)
	}
	if err := db.removeTables(); err != nil {
		opts.Logger.Warn("tables of an unfinished flush can't be removed", "err", err)
	}
	if err := db.openChunks(); err != nil {
		return nil, err
	}
	next, err := db.recover()
	if err != nil {
		return nil, err
	}
	db.checkSpace()
	if err := db.makeBallast(); err != nil {
		opts.Logger.Warn("there is no ballast", "err", err)
	}
	db.pipe = newPipeline(db, next, db.active.Next())
	db.goroutines.Go(db.watch.loop)
	db.goroutines.Go(db.background)
	db.goroutines.Go(db.maintainLoop)
	return db, nil
}

// lockError tells a lock that is held, by this process or another, from a directory that can't be used.
func lockError(dir string, err error) error {
	if errors.Is(err, syscall.EAGAIN) || strings.Contains(err.Error(), "held by current process") {
		return fmt.Errorf("%w: %s", ErrLocked, dir)
	}
	return fmt.Errorf("lock the data directory: %w", err)
}

// openChunks opens the chunk store and reads what is small and always needed of it.
func (db *DB) openChunks() error {
	cache := pebble.NewCache(db.opts.CacheBytes + 2*memTableBytes)
	defer cache.Unref()
	options := db.pebbleOptions(cache)
	chunks, err := pebble.Open(db.opts.FS.PathJoin(db.dir, "chunks"), options)
	if err != nil {
		return fmt.Errorf("open the chunk store: %w", err)
	}
	db.chunks = chunks
	db.tableOptions = options.Clone()
	db.tableOptions.EnsureDefaults()
	if err := syncDir(db.opts.FS, db.dir); err != nil { // Pebble syncs what is inside its folder
		return fmt.Errorf("sync the data directory: %w", err)
	}
	if db.store.names, err = index.LoadNames(chunks); err != nil {
		return fmt.Errorf("load the metric names: %w", err)
	}
	db.store.nameOf = make(map[uint64]string, len(db.store.names))
	for name, id := range db.store.names {
		db.store.nameOf[id] = name
		db.flush.nextName = max(db.flush.nextName, id+1)
	}
	if err := db.loadPartitions(); err != nil {
		return fmt.Errorf("load the partitions: %w", err)
	}
	if err := db.loadTombstones(); err != nil {
		return fmt.Errorf("load the tombstones: %w", err)
	}
	if err := db.loadAnswers(); err != nil {
		return fmt.Errorf("load the answers: %w", err)
	}
	return db.loadExpired()
}

// eachKey calls fn for each key of the chunk store that begins with the prefix.
func (db *DB) eachKey(prefix []byte, fn func(key, value []byte) error) error {
	lower, upper := keys.Range(prefix)
	it, err := db.chunks.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return err
	}
	for it.First(); it.Valid() && err == nil; it.Next() {
		var value []byte
		if value, err = it.ValueAndErr(); err == nil {
			err = fn(it.Key(), value)
		}
	}
	return errors.Join(err, it.Close())
}

// Close acknowledges what is under way, flushes the head and closes the data directory. Writes that
// come later return ErrClosed.
func (db *DB) Close() error {
	db.closeOnce.Do(func() {
		close(db.stop)
		flushErr := error(nil)
		if db.failure.Load() == nil && !db.diskFull.Load() {
			flushErr = db.Flush()
		}
		db.pipe.close()
		db.goroutines.Wait()
		db.useMu.Lock() // reads that are under way come to their end
		db.closed = true
		db.useMu.Unlock()
		db.closeErr = errors.Join(flushErr, db.closeFiles())
	})
	return db.closeErr
}

// enter keeps the chunk store open until leave is called.
func (db *DB) enter() error {
	db.useMu.RLock()
	if db.closed {
		db.useMu.RUnlock()
		return ErrClosed
	}
	return nil
}

func (db *DB) leave() { db.useMu.RUnlock() }

// closeFiles releases whatever Open got hold of, in the opposite order.
func (db *DB) closeFiles() error {
	var errs []error
	if db.log != nil {
		errs = append(errs, db.log.Close())
	}
	if db.chunks != nil {
		errs = append(errs, db.chunks.Close())
	}
	if db.lock != nil {
		errs = append(errs, db.lock.Close())
	}
	return errors.Join(errs...)
}

// Stats returns the engine's own measurements.
func (db *DB) Stats() Stats {
	stats := Stats{
		Series:          db.active.Len(),
		SamplesAccepted: db.accepted.Load(),
		HeadSamples:     db.head.Samples(),
		WaitingSamples:  db.waiting.Load(),
		WaitingLimit:    int64(db.tuned.Load().MaxWaitingSamples),
		WALBytes:        db.log.Size(),
		WALSegments:     db.log.SegmentCount(),
		WriteError:      db.writeError(),
		SeriesRefused:   db.limits.refused.Load(),
		QuerySamples:    uint64(db.querySamples.Load()),
		QueryBytes:      db.queryBytes.Load(),
		Cache:           db.cacheStats(),
		Maintenance:     db.maintenanceStats(),
		Watch:           db.watch.stats(),
	}
	db.fsyncs.add(&stats)
	db.storedStats(&stats)
	if err := db.enter(); err != nil {
		stats.WriteError = err
	} else {
		stats.DiskBytes = db.chunks.Metrics().DiskSpaceUsage()
		db.leave()
	}
	if ns := db.flush.last.Load(); ns != 0 {
		stats.LastFlush = time.Unix(0, ns)
	}
	return stats
}

// Now is the clock of the options.
func (db *DB) Now() time.Time { return db.opts.Now() }
