package engine

import (
	"errors"
	"sync/atomic"
)

// ErrQueriesFull says that the reads under way take all the memory there is for them.
var ErrQueriesFull = errors.New("the queries under way take all the memory set aside for them; retry shortly")

// budget is what one read may still spend, which its workers share. What all reads under way have in memory is
// bounded, too: a read that would exceed that fails at once, since one that waited would keep what it has from
// the others.
//
// Memory is estimated by what grows with the data: the buckets of all workers, values and sketches for
// percentiles, rows, buffers of decoded chunks, and the tags of series that are grouped.
type budget struct {
	db      *DB
	limits  Tuning
	samples atomic.Int64 // decoded, and points of rollups
	bytes   atomic.Int64
}

// What things take in memory, in bytes. A slice that grows has up to twice what is in it.
const (
	partialBytes = 144
	sampleBytes  = 16
	rowBytes     = 24
	seriesBytes  = 512 // its tags, as they are handed out

	distributionBytes = 128 // besides its values
)

func (db *DB) newBudget() *budget { return &budget{db: db, limits: db.tuned.Load().Tuning} }

// spend takes samples that were read and bytes that are held from now on. The error is a *LimitError or
// ErrQueriesFull.
func (b *budget) spend(samples, bytes int64) error {
	b.db.querySamples.Add(samples)
	read := b.samples.Add(samples)
	held, all := b.bytes.Add(bytes), b.db.queryBytes.Add(bytes)
	switch {
	case read > b.limits.MaxQuerySamples:
		return &LimitError{Limit: "query.max_samples", Max: b.limits.MaxQuerySamples,
			Advice: "ask for a shorter range or fewer series, or raise query.max_samples"}
	case held > b.limits.MaxQueryBytes:
		return &LimitError{Limit: "query.max_bytes", Max: b.limits.MaxQueryBytes,
			Advice: "ask for a coarser granularity, a shorter range, a lower limit, fewer series or groups, or raise query.max_bytes"}
	case bytes > 0 && all > b.limits.MaxQueriesBytes:
		return ErrQueriesFull
	}
	return nil
}

// close gives back what was held.
func (b *budget) close() { b.db.queryBytes.Add(-b.bytes.Load()) }

// Hold is memory that a caller has for the answer to a read, which counts as that of reads does. It is for one
// goroutine at a time.
type Hold struct{ budget *budget }

// Hold returns one that is empty. The caller releases it.
func (db *DB) Hold() *Hold { return &Hold{db.newBudget()} }

// Add takes so many bytes more. The error, after which the Hold is as before, is a *LimitError or ErrQueriesFull.
func (h *Hold) Add(bytes int64) error {
	err := h.budget.spend(0, bytes)
	if err != nil {
		h.budget.bytes.Add(-bytes)
		h.budget.db.queryBytes.Add(-bytes)
	}
	return err
}

// Release gives everything back. It may be called again.
func (h *Hold) Release() { h.budget.db.queryBytes.Add(-h.budget.bytes.Swap(0)) }
