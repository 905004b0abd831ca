package engine

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/flopynet/collector/index"
	"github.com/flopynet/collector/internal/chunk"
	"github.com/flopynet/collector/internal/head"
	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/model"
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

	written, kept []model.SeriesID
	posted        map[model.Partition]*index.Set // postings that this flush adds
	newNames      []string
	chunks        int

	key, value []byte
	times      []int64
	values     []float64
}

// split decides which series get chunks. Those with few samples stay in the head and go into the image,
// so that no chunk is tiny and the log is short all the same; a series that has gone quiet is written
// as it is. The image is bounded: when too many samples would stay, the longest series are written too.
func (f *flusher) split(frozen []head.Frozen) {
	staying := 0
	var candidates []head.Frozen
	for _, series := range frozen {
		if series.Idle || series.Count >= f.db.opts.MinChunkSamples {
			f.written = append(f.written, series.ID)
			continue
		}
		candidates = append(candidates, series)
		staying += series.Count
	}
	slices.SortStableFunc(candidates, func(a, b head.Frozen) int { return cmp.Compare(b.Count, a.Count) })
	for _, series := range candidates {
		if staying > min(f.db.opts.FlushSamples, f.db.opts.MaxHeadSamples)/2 {
			staying -= series.Count
			f.written = append(f.written, series.ID)
			continue
		}
		f.kept = append(f.kept, series.ID)
	}
	slices.Sort(f.written)
	slices.Sort(f.kept)
}

// write fills and commits the flush's batches. Only the last is synced; Pebble's log keeps their order,
// so it is durable only when all before it are.
func (f *flusher) write(units []model.SeriesID) error {
	if err := f.definitions(units); err != nil {
		return err
	}
	for group := range slices.Chunk(f.written, flushGroup) {
		if err := f.writeGroup(group); err != nil {
			return err
		}
	}
	if err := f.image(); err != nil {
		return err
	}
	if err := f.checkpoint(); err != nil {
		return err
	}
	return f.batch.Commit(pebble.Sync)
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
		if err := f.batch.Set(keys.AppendPartition(nil, model.TierRaw, partition), encodePartitionMeta(), nil); err != nil {
			return err
		}
		if err := builder.Write(f.batch, model.TierRaw, partition); err != nil {
			return err
		}
		if err := f.commitIfFull(); err != nil {
			return err
		}
	}
	return nil
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
	put := func(minTime int64, seal func(dst, key []byte) []byte) error {
		partition := model.TierRaw.PartitionOf(minTime)
		if err := f.post(series, partition, postings); err != nil {
			return err
		}
		f.key = keys.AppendChunk(f.key[:0], keys.Chunk{Tier: model.TierRaw, Partition: partition, NameID: nameID,
			Series: id, MinTime: minTime, Seq: uint64(f.at.lsn)})
		f.value = seal(f.value[:0], f.key)
		f.chunks++
		return f.batch.Set(f.key, f.value, nil)
	}
	if len(view.Late) == 0 {
		for _, block := range view.Blocks {
			if err := put(block.MinTime(), block.Seal); err != nil {
				return err
			}
		}
		return nil
	}
	return f.writeMerged(view, put)
}

// writeMerged writes a series with late samples: all is decoded, merged and encoded anew.
func (f *flusher) writeMerged(view head.View, put func(int64, func(dst, key []byte) []byte) error) error {
	var m merger
	view.SortLate()
	m.addView(view, 0, model.MinTime, model.MaxTime+1)
	var err error
	f.times, f.values, err = m.merge(f.times[:0], f.values[:0], model.MinTime, model.MaxTime+1)
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
		if err := put(times[0], func(dst, key []byte) []byte { return chunk.Encode(dst, key, times, values) }); err != nil {
			return err
		}
		from = to
	}
	return nil
}

// post adds the series to the postings that a partition lacks.
func (f *flusher) post(series model.Series, partition model.Partition, postings map[model.Partition]*index.PostingsBuilder) error {
	added := f.posted[partition]
	if added == nil {
		added = index.NewSet()
		f.posted[partition] = added
	}
	if added.Contains(series.ID) {
		return nil
	}
	known, err := f.db.partitionSeries(partition)
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
