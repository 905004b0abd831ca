package engine

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/flopynet/collector/model"
)

// compareLatest compares the newest samples of a selection, and of the same without the metric's name, with the
// oracle's.
func (m *metamorphic) compareLatest(s Selection) {
	m.t.Helper()
	unnamed := slices.DeleteFunc(slices.Clone(s.Matchers), func(matcher *model.Matcher) bool { return matcher.Key == model.NameKey })
	for _, matchers := range [][]*model.Matcher{s.Matchers, unnamed} {
		s.Matchers = matchers
		got, err := m.db.Latest(context.Background(), s, 10_000)
		if err != nil {
			m.fail("latest: %v", err)
		}
		var rows []oracleRow
		for _, l := range got {
			rows = append(rows, oracleRow{string(model.AppendIdentity(nil, l.Series.Name, l.Series.Tags)), l.Time, math.Float64bits(l.Value)})
		}
		newest := make(map[string]oracleRow)
		for _, row := range m.oracle.rows(s) { // in time order
			newest[row.identity] = row
		}
		var want []oracleRow
		for _, row := range newest {
			want = append(want, row)
		}
		sortRows(rows)
		sortRows(want)
		if !slices.Equal(rows, want) {
			m.fail("latest of %v in [%d, %d): %d rows, want %d\n%v\n%v", s.Matchers, s.From, s.To, len(rows), len(want), rows, want)
		}
	}
}

func TestLatest(t *testing.T) {
	w := newWorld(t, Options{MinChunkSamples: 1})
	everything := Selection{To: model.MaxTime + 1}
	w.fill("cpu", "old", worldStart, worldStart+hour, time.Minute, number)
	w.fill("cpu", "ended", worldStart, worldStart+day, time.Hour, number)
	w.sample("cpu", "ended", worldStart+day, math.Float64frombits(0x7ff0000000000002)) // the stale marker
	w.sample("memory", "nan", worldStart, math.NaN())
	w.fill("disk", "deleted", worldStart+5*day, worldStart+5*day+hour, time.Minute, number)
	w.compareLatest(everything) // in the head
	w.flush()
	w.compareLatest(everything) // in chunks
	w.sample("cpu", "old", worldStart+9*day, 1)
	w.sample("cpu", "old", worldStart+2*day, 2) // late: not the newest
	w.remove("disk", "deleted", worldStart+5*day+hour/2, worldStart+6*day)
	w.compareLatest(everything) // in both, with a tombstone
	w.remove("disk", "deleted", worldStart, worldStart+6*day)
	w.maintain()
	w.compareLatest(everything)
	w.restart(true)
	w.compareLatest(everything)
	w.compareLatest(Selection{From: worldStart + day, To: worldStart + 3*day})

	got, err := w.db.Latest(context.Background(), everything, 3)
	if err != nil || len(got) != 3 {
		t.Errorf("three series: %v, %v", got, err)
	}
	var limit *LimitError
	if _, err = w.db.Latest(context.Background(), everything, 2); !errors.As(err, &limit) || limit.Max != 2 {
		t.Errorf("three series where two are allowed: %v", err)
	}
}
