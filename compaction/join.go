package compaction

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/flopynet/collector/internal/chunk"
	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/model"
)

// Joined says what joining the chunks of a series did.
type Joined struct {
	ChunksIn, ChunksOut int
	BytesIn, BytesOut   int // of keys and values
	SamplesIn           int // overwritten and hidden ones included
	SamplesOut          int
	Emptied             bool
}

// Add takes in what was done to another series.
func (j *Joined) Add(other Joined) {
	j.ChunksIn += other.ChunksIn
	j.ChunksOut += other.ChunksOut
	j.BytesIn += other.BytesIn
	j.BytesOut += other.BytesOut
	j.SamplesIn += other.SamplesIn
	j.SamplesOut += other.SamplesOut
}

// Join replaces the small, the overlapping and the partly deleted chunks of the current series by ones that
// are as large as may be and of the better codec. What was joined before, up to the seq compacted, is not
// tried again while nothing came to it.
//
// The chunks that are joined are neighbours in time, and the result has the highest of their seqs: so it is
// newer than whatever older chunk it may overlap, and contained in whatever newer one did contain them.
func (d *Day) Join(b *pebble.Batch, compacted uint64) (Joined, error) {
	var done Joined
	if len(d.chunks) == 1 && !d.chunks[0].isHidden && d.chunks[0].seq <= compacted {
		return done, nil
	}
	if _, _, err := d.Samples(); err != nil {
		return done, err
	}
	for from := 0; from < len(d.pieces); {
		if d.pieces[from].isFull {
			from++
			continue
		}
		to := from + 1
		for to < len(d.pieces) && !d.pieces[to].isFull {
			to++
		}
		if err := d.joinPieces(b, d.pieces[from:to], compacted, &done); err != nil {
			return done, err
		}
		from = to
	}
	done.Emptied = len(d.times) == 0
	return done, nil
}

// joinPieces writes the samples of neighbouring pieces anew.
func (d *Day) joinPieces(b *pebble.Batch, pieces []piece, compacted uint64, done *Joined) error {
	var inputs []storedChunk
	seq, isHidden := uint64(0), false
	for _, c := range d.chunks {
		if c.block.MinTime() >= pieces[0].first && c.block.MinTime() <= pieces[len(pieces)-1].last {
			inputs = append(inputs, c)
			seq = max(seq, c.seq)
			isHidden = isHidden || c.isHidden
		}
	}
	if len(inputs) == 1 && !isHidden && seq <= compacted {
		return nil
	}
	for _, input := range inputs {
		if err := b.Delete(input.key, nil); err != nil {
			return err
		}
		done.ChunksIn++
		done.BytesIn += input.bytes
		done.SamplesIn += input.block.Count()
	}
	from, to := pieces[0].from, pieces[len(pieces)-1].to
	for ; from < to; from += chunk.MaxSamples {
		end := min(from+chunk.MaxSamples, to)
		d.key = keys.AppendChunk(d.key[:0], keys.Chunk{Tier: model.TierRaw, Partition: d.opts.Partition,
			NameID: d.nameID, Series: d.id, MinTime: d.times[from], Seq: seq})
		d.value = chunk.Encode(d.value[:0], d.key, d.times[from:end], d.values[from:end])
		if err := b.Set(d.key, d.value, nil); err != nil {
			return fmt.Errorf("write a joined chunk: %w", err)
		}
		done.ChunksOut++
		done.BytesOut += len(d.key) + len(d.value)
		done.SamplesOut += end - from
	}
	return nil
}
