package engine

import (
	"context"
	"errors"

	"github.com/flopynet/collector/index"
	"github.com/flopynet/collector/model"
)

// MetricNames returns, in order, the names of the metrics that have series which match and may have samples
// in the range, as Select decides it. The matchers may leave the name open, or match it in any way: none at
// all mean every metric. It is how a read of several metrics begins, each of which is then read by its name.
func (db *DB) MetricNames(ctx context.Context, s Selection) ([]string, error) {
	if err := db.enter(); err != nil {
		return nil, err
	}
	defer db.leave()
	return consistently(db, func() (names []string, err error) {
		m, err := db.match(ctx, s)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, m.close()) }()
		key := model.NameKey
		err = index.EachTag(ctx, m.snapshot, m.places, db.active, m.series, &key, func(_, name string, _ *index.Set) error {
			names = append(names, name)
			return nil
		})
		return names, err
	})
}
