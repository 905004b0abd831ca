package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/cockroachdb/pebble/v2"

	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/internal/merge"
	"github.com/flopynet/collector/model"
	"github.com/flopynet/collector/wal"
	"github.com/flopynet/collector/wal/record"
)

// imageSamples is about how many samples one piece of the head's image holds.
const imageSamples = 64 << 10

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checkpointMeta is the state of the chunk store: it holds all that the log says up to LSN.
type checkpointMeta struct {
	LSN      wal.LSN
	Defined  model.SeriesID // series below are in the catalogue
	Accepted uint64         // samples accepted since the data directory was made
}

// encodeCheckpoint writes a checkpointMeta as three big-endian numbers and their CRC32C.
func encodeCheckpoint(m checkpointMeta) []byte {
	value := binary.BigEndian.AppendUint64(nil, uint64(m.LSN))
	value = binary.BigEndian.AppendUint64(value, uint64(m.Defined))
	value = binary.BigEndian.AppendUint64(value, m.Accepted)
	return binary.BigEndian.AppendUint32(value, crc32.Checksum(value, castagnoli))
}

func decodeCheckpoint(value []byte) (checkpointMeta, error) {
	if len(value) != 28 || crc32.Checksum(value[:24], castagnoli) != binary.BigEndian.Uint32(value[24:]) {
		return checkpointMeta{}, fmt.Errorf("%w: the checkpoint's checksum is wrong", ErrCorrupt)
	}
	return checkpointMeta{
		LSN:      wal.LSN(binary.BigEndian.Uint64(value)),
		Defined:  model.SeriesID(binary.BigEndian.Uint64(value[8:])),
		Accepted: binary.BigEndian.Uint64(value[16:]),
	}, nil
}

// checkpoint puts the new checkpoint into the flush's last batch.
func (f *flusher) checkpoint() error {
	meta := checkpointMeta{LSN: f.at.lsn, Defined: f.at.defined, Accepted: f.at.accepted}
	return f.batch.Set(keys.AppendMeta(nil, keys.MetaCheckpoint), encodeCheckpoint(meta), nil)
}

// loadCheckpoint returns the last checkpoint; that of a new store is zero.
func (db *DB) loadCheckpoint() (checkpointMeta, error) {
	value, closer, err := db.chunks.Get(keys.AppendMeta(nil, keys.MetaCheckpoint))
	if errors.Is(err, pebble.ErrNotFound) {
		return checkpointMeta{Defined: 1}, nil
	}
	if err != nil {
		return checkpointMeta{}, err
	}
	meta, err := decodeCheckpoint(value)
	return meta, errors.Join(err, closer.Close())
}

// image writes the head's image: the series that stay in the head. Its pieces are keyed by the new
// checkpoint, so they may be committed before it; the last batch drops the image before. A piece is a
// samples record as in the log, followed by its CRC32C.
func (f *flusher) image() error {
	ids := make([]model.SeriesID, 0, imageSamples)
	f.times, f.values = f.times[:0], f.values[:0]
	piece := uint64(0)
	for i, id := range f.kept {
		var runs merge.Runs
		view := f.db.head.FrozenView(id, false)
		view.SortLate()
		addView(&runs, view, 0, model.MinTime, model.MaxTime+1, nil)
		var err error
		if f.times, f.values, err = runs.Append(f.times, f.values, model.MinTime, model.MaxTime+1); err != nil {
			return fmt.Errorf("series %d: %w", id, err)
		}
		if before := len(ids); before < len(f.times) {
			f.oldestKept = min(f.oldestKept, f.times[before])
		}
		for len(ids) < len(f.times) {
			ids = append(ids, id)
		}
		if len(ids) < imageSamples && i < len(f.kept)-1 {
			continue
		}
		if err := f.imagePiece(piece, ids); err != nil {
			return err
		}
		piece++
		ids, f.times, f.values = ids[:0], f.times[:0], f.values[:0]
	}
	return f.batch.DeleteRange([]byte{keys.PrefixHeadImage}, keys.AppendHeadImage(nil, uint64(f.at.lsn), 0), nil)
}

func (f *flusher) imagePiece(piece uint64, ids []model.SeriesID) error {
	f.value = record.AppendSamples(f.value[:0], ids, f.times, f.values)
	f.value = binary.BigEndian.AppendUint32(f.value, crc32.Checksum(f.value, castagnoli))
	f.key = keys.AppendHeadImage(f.key[:0], uint64(f.at.lsn), piece)
	if err := f.batch.Set(f.key, f.value, nil); err != nil {
		return err
	}
	return f.commitIfFull()
}

// loadImage calls fn for each piece of the image that belongs to the checkpoint.
func (db *DB) loadImage(checkpoint wal.LSN, fn func(ids []model.SeriesID, times []int64, values []float64) error) error {
	return db.eachKey(keys.AppendHeadImagePrefix(nil, uint64(checkpoint)), func(_, value []byte) error {
		if len(value) < 4 {
			return fmt.Errorf("%w: a piece of the head's image is cut short", ErrCorrupt)
		}
		payload, sum := value[:len(value)-4], binary.BigEndian.Uint32(value[len(value)-4:])
		if crc32.Checksum(payload, castagnoli) != sum {
			return fmt.Errorf("%w: a piece of the head's image has a wrong checksum", ErrCorrupt)
		}
		reader := record.NewReader(payload)
		for reader.Next() {
			ids, times, values, err := reader.Samples(nil, nil, nil)
			if err != nil {
				return err
			}
			if err := fn(ids, times, values); err != nil {
				return err
			}
		}
		return reader.Err()
	})
}
