package flopynet

import (
	"context"
	"math"

	"github.com/flopynet/collector/internal/timefmt"
)

// LatestRow returns what was measured last of a type of rows: the newest value of each metric before to, and when the
// newest of them was. It is nil if there is nothing, or no such type. Without a type it is the row, of those of History
// without a type, that has the newest sample. Beside the network's metrics is its NetworkRecord, once it has been seen.
func (t *Testbed) LatestRow(ctx context.Context, kindName string, to int64) (*HistoryRow, error) {
	var latest *HistoryRow
	newest := int64(math.MinInt64)
	for _, k := range kindsOf(kindName, "") {
		row, at, err := t.latestRow(ctx, k, to)
		if err != nil {
			return nil, err
		}
		if row != nil && at > newest {
			latest, newest = row, at
		}
	}
	if latest != nil && latest.Type == typeNetwork {
		if record := t.NetworkRecord(); record.SDNStatus != StatusUnknown {
			record.put(latest.Data)
		}
	}
	return latest, nil
}

// latestRow is LatestRow for a kind, with the time of the newest sample.
func (t *Testbed) latestRow(ctx context.Context, k kind, to int64) (row *HistoryRow, newest int64, err error) {
	samples, c, err := t.latest(ctx, k, to)
	if err != nil || len(samples) == 0 {
		return nil, 0, err
	}
	row = k.row(0)
	for _, sample := range samples {
		newest = max(newest, sample.Time)
		if isFinite(sample.Value) {
			c.series[sample.Series.ID].put(row.Data, sample.Value)
		}
	}
	row.Timestamp = string(timefmt.AppendTime(nil, newest))
	k.finish(row.Data, newest)
	return row, newest, nil
}
