package engine

import (
	"encoding/binary"
	"math"
	"slices"
	"sync/atomic"

	"github.com/flopynet/collector/model"
)

// storedCount says what the chunks of a raw partition hold. A flush adds to it, and each pass of maintenance
// through the whole partition counts anew, so that what a crash or a drop leaves wrong doesn't stay so.
type storedCount struct {
	Known   bool   // what was there before an older version's state was met is in it
	Samples uint64 // those that another chunk has too, or that are deleted, included
	Bytes   uint64 // of keys and values
	Oldest  int64  // time of a sample, ns; of meaning if there are samples
}

// appendTo encodes the count as three uvarints: the samples and 1, 0 for not known; bytes; the oldest time.
func (c storedCount) appendTo(value []byte) []byte {
	samples := uint64(0)
	if c.Known {
		samples = c.Samples + 1
	}
	value = binary.AppendUvarint(value, samples)
	value = binary.AppendUvarint(value, c.Bytes)
	return binary.AppendUvarint(value, uint64(c.Oldest))
}

// storedCountOf is the inverse of appendTo.
func storedCountOf(samples, bytes, oldest uint64) storedCount {
	if samples == 0 {
		return storedCount{}
	}
	return storedCount{Known: true, Samples: samples - 1, Bytes: bytes, Oldest: int64(oldest)}
}

// add counts some samples, of which the first has the time.
func (c *storedCount) add(samples, bytes int, oldest int64) {
	if samples == 0 {
		return
	}
	if c.Samples == 0 || oldest < c.Oldest {
		c.Oldest = oldest
	}
	c.Samples += uint64(samples)
	c.Bytes += uint64(bytes)
}

// merge counts what another count has.
func (c *storedCount) merge(other storedCount) {
	c.add(int(other.Samples), int(other.Bytes), other.Oldest)
}

// since returns what was added to a count after it was before.
func (c storedCount) since(before storedCount) storedCount {
	added := storedCount{Samples: c.Samples - before.Samples, Bytes: c.Bytes - before.Bytes, Oldest: c.Oldest}
	if before.Samples > 0 && c.Oldest == before.Oldest {
		added.Oldest = math.MaxInt64 // nothing older was added
	}
	return added
}

// oldestInHead is a time that no sample in the head is older than, and that is the oldest one's after a flush.
type oldestInHead struct {
	current, frozen atomic.Int64 // math.MaxInt64: there are none
}

func (o *oldestInHead) init() {
	o.current.Store(math.MaxInt64)
	o.frozen.Store(math.MaxInt64)
}

// note takes in times that are applied to the head.
func (o *oldestInHead) note(times []int64) {
	if len(times) > 0 {
		lowerTo(&o.current, slices.Min(times))
	}
}

// freeze is called when the head is.
func (o *oldestInHead) freeze() {
	lowerTo(&o.frozen, o.current.Swap(math.MaxInt64))
}

// thaw is called when frozen samples are back in the head, of which the oldest is given.
func (o *oldestInHead) thaw(oldest int64) {
	lowerTo(&o.current, oldest)
	o.frozen.Store(math.MaxInt64)
}

func (o *oldestInHead) load() int64 { return min(o.current.Load(), o.frozen.Load()) }

func lowerTo(value *atomic.Int64, to int64) {
	for now := value.Load(); to < now && !value.CompareAndSwap(now, to); now = value.Load() {
	}
}

// storedStats adds up what the chunks of all raw partitions hold.
func (db *DB) storedStats(stats *Stats) {
	e, now := db.expiry.load(), db.opts.Now().UnixNano()
	floor := e.policy.Floor(0, model.TierRaw, now)
	for class := range e.policy.Classes() {
		floor = min(floor, e.policy.Floor(class, model.TierRaw, now))
	}
	oldest := db.oldest.load()
	db.store.mu.RLock()
	defer db.store.mu.RUnlock()
	for number, p := range db.store.partitions[model.TierRaw] {
		stored := p.meta.Stored
		switch {
		case !stored.Known:
			begin, _ := model.TierRaw.Bounds(number)
			oldest = min(oldest, begin)
		case stored.Samples > 0:
			stats.StoredSamples += stored.Samples
			stats.StoredBytes += stored.Bytes
			oldest = min(oldest, stored.Oldest)
		}
	}
	if oldest != math.MaxInt64 {
		stats.HasOldest, stats.Oldest = true, max(oldest, floor)
	}
}
