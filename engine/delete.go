package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/flopynet/collector/index"
	"github.com/flopynet/collector/internal/head"
	"github.com/flopynet/collector/model"
	"github.com/flopynet/collector/wal"
)

// DeleteResult says what a delete hid, or would hide.
type DeleteResult struct {
	Series  int   // that match the selection
	Samples int64 // of them, that were visible in [From, To)

	// The range really deleted. Where raw samples have expired, only whole hours can be: then it is wider
	// than what was asked for.
	From, To int64
}

// deletion is a delete on its way through the pipeline.
type deletion struct {
	model.Span
	ids []model.SeriesID
}

// Delete hides the samples of the series that match, in the selection's range, from every read and in
// every tier. It returns when that is durable. What is written into the range afterwards is visible. The
// disk's space comes back with the next maintenance. With dryRun it only counts.
func (db *DB) Delete(ctx context.Context, s Selection, dryRun bool) (DeleteResult, error) {
	if err := db.enter(); err != nil {
		return DeleteResult{}, err
	}
	defer db.leave()
	s.From, s.To = max(s.From, model.MinTime), min(s.To, model.MaxTime)
	if s.From >= s.To {
		return DeleteResult{From: s.From, To: s.From}, nil
	}
	found, err := consistently(db, func() (found, error) { return db.find(ctx, s) })
	if err != nil {
		return DeleteResult{}, err
	}
	s.From, s.To = wholeHours(found.expiredThrough(), s.From, s.To)
	result := DeleteResult{Series: len(found.ids), From: s.From, To: s.To}
	if len(found.ids) == 0 {
		return result, nil
	}
	if result.Samples, err = db.countSamples(ctx, s); err != nil || dryRun {
		return result, err
	}
	if err := db.writeError(); err != nil && !errors.Is(err, ErrDiskFull) {
		return result, err
	}
	c := commits.Get().(*commit)
	c.deletion = &deletion{Span: model.Span{From: s.From, To: s.To}, ids: found.ids}
	c.maxID = found.ids[len(found.ids)-1]
	if err := db.pipe.submit(c); err != nil {
		return result, err
	}
	db.requestMaintenance()
	return result, nil
}

// wholeHours widens the range to whole hours at an end before which raw samples of some of the series have
// expired: there are only points then, and they can't be cut.
func wholeHours(expired, from, to int64) (int64, int64) {
	if from < expired {
		from -= from % hour
	}
	if to < expired && to%hour != 0 {
		to += hour - to%hour
	}
	return from, to
}

// countSamples counts what is visible of a selection.
func (db *DB) countSamples(ctx context.Context, s Selection) (int64, error) {
	request := AggregateRequest{Selection: s, Edges: []int64{s.From, s.To}, Functions: []Function{{Kind: Count}}}
	result, err := consistently(db, func() (*AggregateResult, error) { return db.aggregate(ctx, &request) })
	if err != nil {
		return 0, fmt.Errorf("count samples: %w", err)
	}
	if len(result.Groups) == 0 {
		return 0, nil
	}
	return int64(result.Groups[0].Values[0]), nil
}

// applyDelete hides what was written before the delete's place in the log: in chunks and in what is being
// flushed by a tombstone, in the rest of the head by removing it. The tombstone is there first, so that
// nothing slips from one into the other unseen.
func (db *DB) applyDelete(applier *head.Applier, lsn wal.LSN, d *deletion) error {
	db.changes.noteRange(d.From, d.To, uint64(lsn))
	db.tombstones.add(tombstone{lsn: lsn, Span: d.Span, series: index.NewSet(d.ids...)})
	if err := applier.Delete(d.ids, d.From, d.To); err != nil {
		return fmt.Errorf("delete from the head: %w", err)
	}
	return nil
}

// hiddenSince returns what tombstones hide of a series' frozen data.
func (db *DB) hiddenSince(id model.SeriesID, seq uint64) []model.Span {
	return hides(db.tombstones.all(), id, seq)
}
