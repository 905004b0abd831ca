package engine

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/flopynet/collector/index"
	"github.com/flopynet/collector/internal/chunk"
	"github.com/flopynet/collector/internal/head"
	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/internal/merge"
	"github.com/flopynet/collector/model"
	"github.com/flopynet/collector/wal"
)

// flushBatchBytes is about how much one batch of a flush holds.
const flushBatchBytes = 8 << 20

// flushGroup is how many series share their postings' merges, which bounds what one batch holds.
const flushGroup = 16 << 10

// flusher is one flush under way.
type flusher struct {
	db    *DB
	at    cut
	batch *pebble.Batch

	expiry        *expiry
	written, kept []model.SeriesID
	newNames      []string
	touched       map[model.Partition]*touched
	events        []placedEvent
	answers       []keptAnswer
	answersBefore wal.LSN // older ones are dropped
	chunks        int
	oldestKept    int64 // time of the oldest sample that stays in the head
	expired       int   // samples that are dropped, because those of their day are

	intoTables bool // chunks go into tables
	tables     map[model.Partition]*flushTable

	key, value []byte
	times      []int64
	values     []float64
}

// touched is what a flush adds to a partition.
type touched struct {
	posted  *index.Set           // series that the partition didn't have
	chunks  int                  // written to it
	stored  storedCount          // in these
	after   storedCount          // in the partition, once they are in it
	through int64                // changes before it are marked
	changed map[int64]*index.Set // by hour since the epoch
}

func newFlusher(db *DB, at cut, samples int) *flusher {
	return &flusher{
		db:      db,
		at:      at,
		batch:   db.chunks.NewBatchWithSize(min(8*samples, flushBatchBytes+flushBatchBytes/8)),
		tables:  make(map[model.Partition]*flushTable),
		expiry:  db.expiry.load(),
		touched: make(map[model.Partition]*touched),

		oldestKept: math.MaxInt64,
	}
}

// touch returns what the flush adds to a partition so far.
// A new partition is stored before anything in it is, so that deletes and retention find what a crash leaves.
func (f *flusher) touch(number model.Partition) (*touched, error) {
	if t := f.touched[number]; t != nil {
		return t, nil
	}
	known, found := f.db.partitionState(model.TierRaw, number)
	t := &touched{posted: index.NewSet(), through: known.through()}
	f.touched[number] = t
	if found && known.meta.Flushed > 0 {
		return t, nil
	}
	return t, putPartition(f.batch, model.TierRaw, number, partitionMeta{})
}

// abandon remembers that what a failed flush wrote may be there: which series it posted has to be read again.
func (f *flusher) abandon() {
	for number := range f.touched {
		f.db.updatePartition(model.TierRaw, number, func(p *partition) { p.series = nil })
	}
}

// mark notes that samples of a series in [from, to] change, where they may have been rolled up.
func (t *touched) mark(id model.SeriesID, from, to int64) {
	for at := from / hour; at <= to/hour && at*hour < t.through; at++ {
		if t.changed == nil {
			t.changed = make(map[int64]*index.Set)
		}
		if t.changed[at] == nil {
			t.changed[at] = index.NewSet()
		}
		t.changed[at].Add(id)
	}
}

// split decides which series get chunks. Those with few samples stay in the head and go into the image,
// so that no chunk is tiny and the log is short all the same; a series that has gone quiet is written
// as it is, and all are if all is set. The image is bounded: when too many samples would stay, the longest series are written too.
func (f *flusher) split(frozen []head.Frozen, all bool) {
	staying, writing := 0, 0
	var candidates []head.Frozen
	for _, series := range frozen {
		if all || series.Idle || series.Count >= f.db.opts.MinChunkSamples {
			f.written = append(f.written, series.ID)
			writing += series.Count
			continue
		}
		candidates = append(candidates, series)
		staying += series.Count
	}
	slices.SortStableFunc(candidates, func(a, b head.Frozen) int { return cmp.Compare(b.Count, a.Count) })
	for _, series := range candidates {
		if staying > min(f.db.opts.FlushSamples, f.db.opts.MaxHeadSamples)/2 {
			staying -= series.Count
			writing += series.Count
			f.written = append(f.written, series.ID)
			continue
		}
		f.kept = append(f.kept, series.ID)
	}
	slices.Sort(f.written)
	slices.Sort(f.kept)
	f.intoTables = writing >= f.db.tableSamples
}

// write fills and commits the flush's batches. Only the last is synced; Pebble's log keeps their order,
// so it is durable only when all before it are.
func (f *flusher) write(units []model.SeriesID) error {
	if err := f.definitions(units); err != nil {
		return err
	}
	if err := f.writeChunks(); err != nil {
		return err
	}
	if err := f.writeEvents(); err != nil {
		return err
	}
	if err := f.writeAnswers(); err != nil {
		return err
	}
	if err := f.image(); err != nil {
		return err
	}
	if err := f.states(); err != nil {
		return err
	}
	if err := f.tombstones(); err != nil {
		return err
	}
	if err := f.checkpoint(); err != nil {
		return err
	}
	return f.batch.Commit(pebble.Sync)
}

// writeChunks writes the chunks of all series that get some, with postings.
func (f *flusher) writeChunks() error {
	if f.intoTables {
		if err := f.orderForTables(); err != nil {
			return err
		}
	}
	for group := range slices.Chunk(f.written, flushGroup) {
		if err := f.writeGroup(group); err != nil {
			return err
		}
	}
	return f.takeTables()
}

// writeGroup writes the chunks of some series and the postings that their partitions lack.
func (f *flusher) writeGroup(ids []model.SeriesID) error {
	postings := make(map[model.Partition]*index.PostingsBuilder)
	for _, id := range ids {
		if err := f.writeSeries(id, f.db.head.FrozenView(id, true), postings); err != nil {
			return fmt.Errorf("series %d: %w", id, err)
		}
		if err := f.commitIfFull(); err != nil {
			return err
		}
	}
	for partition, builder := range postings {
		if err := builder.Write(f.batch, model.TierRaw, partition); err != nil {
			return err
		}
		if err := f.commitIfFull(); err != nil {
			return err
		}
	}
	return nil
}

// states writes the state of the partitions that were written to, and what is to be rolled up again. They
// belong in the last batch: until then the samples are in the head as well, where reads look.
func (f *flusher) states() error {
	for number, t := range f.touched {
		known, _ := f.db.partitionState(model.TierRaw, number)
		t.after = known.meta.Stored
		t.after.Known = t.after.Known || known.meta.Flushed == 0 // nothing that counts was in it
		t.after.merge(t.stored)
		known.meta.Flushed, known.meta.Stored = f.at.lsn, t.after
		if err := putPartition(f.batch, model.TierRaw, number, known.meta); err != nil {
			return err
		}
		for at, series := range t.changed {
			if err := index.PutDirty(f.batch, model.TierRaw, number, at, uint64(f.at.lsn), series); err != nil {
				return err
			}
		}
	}
	return nil
}

// tombstones writes those that the log alone has: it is about to lose them.
func (f *flusher) tombstones() error {
	for _, t := range f.db.tombstones.all() {
		if t.lsn <= f.db.flush.checkpoint || t.lsn > f.at.lsn {
			continue
		}
		key := keys.AppendTombstone(nil, uint64(t.lsn))
		if err := f.batch.Set(key, encodeTombstone(key, t), nil); err != nil {
			return err
		}
	}
	return nil
}

// publish remembers what is durable now.
func (f *flusher) publish() {
	now := f.db.opts.Now().UnixNano()
	for number, t := range f.touched {
		f.db.updatePartition(model.TierRaw, number, func(p *partition) {
			p.meta.Flushed, p.meta.Stored = f.at.lsn, t.after
			p.fresh += t.chunks
			p.flushedAt = now
			if p.series != nil {
				p.series.Or(t.posted)
			}
		})
	}
	if f.expired > 0 {
		f.db.opts.Logger.Warn("dropped samples that expired before they were flushed", "samples", f.expired)
	}
}

func (f *flusher) commitIfFull() error {
	if f.batch.Len() < flushBatchBytes {
		return nil
	}
	if err := f.batch.Commit(pebble.NoSync); err != nil {
		return err
	}
	f.batch.Reset()
	return nil
}

// definitions writes the series that the log defined since the last flush, and units that changed.
func (f *flusher) definitions(units []model.SeriesID) error {
	f.newNames = append(f.newNames, f.db.flush.unsaved...)
	for _, name := range f.newNames {
		if err := index.PutName(f.batch, name, f.db.store.names[name]); err != nil {
			return err
		}
	}
	for id := f.db.flush.defined; id < f.at.defined; id++ {
		if series, found := f.db.active.Series(id); found {
			if err := f.define(series); err != nil {
				return err
			}
		}
	}
	for _, id := range units {
		if id >= f.db.flush.defined {
			continue // written just now
		}
		series, found := f.db.active.Series(id)
		if !found {
			return fmt.Errorf("%w: series %d has a unit but no definition", ErrCorrupt, id)
		}
		nameID, err := f.nameID(series.Name)
		if err != nil {
			return err
		}
		if err := index.PutUnit(f.batch, series, nameID); err != nil {
			return err
		}
		if err := f.commitIfFull(); err != nil {
			return err
		}
	}
	return nil
}

func (f *flusher) define(series model.Series) error {
	nameID, err := f.nameID(series.Name)
	if err != nil {
		return err
	}
	if err := index.PutSeries(f.batch, series, nameID); err != nil {
		return err
	}
	return f.commitIfFull()
}

// nameID returns the number of a metric's name and gives it one if it is new. A number that a failed
// flush gave out stays given.
func (f *flusher) nameID(name string) (uint64, error) {
	store := &f.db.store
	store.mu.Lock()
	defer store.mu.Unlock()
	if id, found := store.names[name]; found {
		return id, nil
	}
	id := f.db.flush.nextName
	f.db.flush.nextName++
	store.names[name], store.nameOf[id] = id, name
	f.newNames = append(f.newNames, name)
	return id, index.PutName(f.batch, name, id)
}

// writeSeries writes the chunks of a series, and its postings where a partition doesn't have them.
func (f *flusher) writeSeries(id model.SeriesID, view head.View, postings map[model.Partition]*index.PostingsBuilder) error {
	series, found := f.db.active.Series(id)
	if !found {
		return fmt.Errorf("%w: samples of a series that is not defined", ErrCorrupt)
	}
	nameID, err := f.nameID(series.Name)
	if err != nil {
		return err
	}
	gone := f.expiry.expired.Through(series.Name, series.Source())
	put := func(minTime, maxTime int64, count int, seal func(dst, key []byte) []byte) error {
		partition := model.TierRaw.PartitionOf(minTime)
		if minTime < gone {
			f.expired += count
			return nil
		}
		t, err := f.touch(partition)
		if err != nil {
			return err
		}
		if err := f.post(series, partition, t.posted, postings); err != nil {
			return err
		}
		t.mark(id, minTime, maxTime)
		t.chunks++
		f.key = keys.AppendChunk(f.key[:0], keys.Chunk{Tier: model.TierRaw, Partition: partition, NameID: nameID,
			Series: id, MinTime: minTime, Seq: uint64(f.at.lsn)})
		f.value = seal(f.value[:0], f.key)
		f.chunks++
		t.stored.add(count, len(f.key)+len(f.value), minTime)
		return f.putChunk(partition, f.key, f.value)
	}
	if len(view.Late) == 0 {
		for _, block := range view.Blocks {
			if err := put(block.MinTime(), block.MaxTime(), block.Count(), block.Seal); err != nil {
				return err
			}
		}
		return nil
	}
	return f.writeMerged(view, put)
}

// putChunk stores a chunk of samples in [minTime, maxTime] of one partition.
type putChunk func(minTime, maxTime int64, count int, seal func(dst, key []byte) []byte) error

// writeMerged writes a series with late samples: all is decoded, merged and encoded anew.
func (f *flusher) writeMerged(view head.View, put putChunk) error {
	var runs merge.Runs
	view.SortLate()
	addView(&runs, view, 0, model.MinTime, model.MaxTime+1, nil)
	var err error
	f.times, f.values, err = runs.Append(f.times[:0], f.values[:0], model.MinTime, model.MaxTime+1)
	if err != nil {
		return err
	}
	for from := 0; from < len(f.times); {
		_, end := model.TierRaw.Bounds(model.TierRaw.PartitionOf(f.times[from]))
		to := from + 1
		for to < len(f.times) && to-from < chunk.MaxSamples && f.times[to] < end {
			to++
		}
		times, values := f.times[from:to], f.values[from:to]
		seal := func(dst, key []byte) []byte { return chunk.Encode(dst, key, times, values) }
		if err := put(times[0], times[len(times)-1], len(times), seal); err != nil {
			return err
		}
		from = to
	}
	return nil
}

// post adds the series to the postings that a partition lacks.
func (f *flusher) post(series model.Series, partition model.Partition, added *index.Set, postings map[model.Partition]*index.PostingsBuilder) error {
	if added.Contains(series.ID) {
		return nil
	}
	known, err := f.db.partitionSeries(model.TierRaw, partition)
	if err != nil {
		return err
	}
	if known != nil && known.Contains(series.ID) {
		return nil
	}
	added.Add(series.ID)
	builder := postings[partition]
	if builder == nil {
		builder = new(index.PostingsBuilder)
		postings[partition] = builder
	}
	builder.Add(series)
	return nil
}
