package engine

import (
	"context"

	"github.com/flopynet/collector/index"
	"github.com/flopynet/collector/model"
)

// CardinalityReport tells what most series are made of.
type CardinalityReport = index.CardinalityReport

// Cardinality counts the series that may have samples in [from, to), those in the head included, and names
// the metrics, tag keys and tags with the most of them, top of each.
func (db *DB) Cardinality(ctx context.Context, from, to int64, top int) (CardinalityReport, error) {
	if err := db.enter(); err != nil {
		return CardinalityReport{}, err
	}
	defer db.leave()
	places := db.postingsIn(max(from, model.MinTime), min(to, model.MaxTime+1))
	return index.Cardinality(ctx, db.chunks, places, db.active, db.head.Has, top)
}
