package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/flopynet/collector/model"
)

// compareScan scans a selection, at times over all metrics, and compares with the oracle.
func (m *metamorphic) compareScan(selection Selection) {
	if m.random != nil && m.random.IntN(2) == 0 {
		selection.Matchers = selection.Matchers[1:] // the name
	}
	got, err := scanRows(m.db, selection)
	if err != nil {
		m.fail("scan: %v", err)
	}
	sortRows(got)
	want := m.oracle.rows(selection)
	for i := range min(len(want), len(got)) {
		if want[i] != got[i] {
			m.fail("scan of %v: row %d is %+v, want %+v", selection, i, got[i], want[i])
		}
	}
	if len(want) != len(got) {
		m.fail("scan of %v: %d rows, want %d", selection, len(got), len(want))
	}
}

// scanRows returns all rows of a scan, and an error if they don't come in its order.
func scanRows(db *DB, selection Selection) (rows []oracleRow, err error) {
	var before model.Series
	last := int64(-1)
	err = db.Scan(context.Background(), selection, func(s model.Series, times []int64, values []float64) error {
		if s.ID != before.ID {
			if before.Name > s.Name || before.Name == s.Name && before.ID > s.ID {
				return fmt.Errorf("series %v comes after %v", s, before)
			}
			before, last = s, -1
		}
		if len(times) == 0 || len(times) != len(values) {
			return fmt.Errorf("a block has %d times and %d values", len(times), len(values))
		}
		for i, at := range times {
			if at <= last {
				return fmt.Errorf("series %v has time %d after %d", s, at, last)
			}
			last = at
			rows = append(rows, oracleRow{string(model.AppendIdentity(nil, s.Name, s.Tags)), at, math.Float64bits(values[i])})
		}
		return nil
	})
	return rows, err
}

// compareScanBuckets compares a scan for the buckets of each series by itself with the oracle's groups.
func (m *metamorphic) compareScanBuckets(request AggregateRequest, result *AggregateResult, want map[string]map[int]*oracleBucket) {
	if !request.GroupAll || slices.ContainsFunc(request.Functions, func(f Function) bool { return f.Kind == Quantile }) {
		return
	}
	groups := 0
	exact, err := m.db.ScanBuckets(context.Background(), request, func(s model.Series, g Group) error {
		groups++
		if !slices.Equal(s.Tags, g.Tags) {
			m.fail("series %v comes with the group %v", s, g.Tags)
		}
		m.compareGroup(request, &AggregateResult{Exact: result.Exact, RetentionBound: result.RetentionBound}, g, want)
		return nil
	})
	if err != nil || exact != result.Exact || groups != len(want) {
		m.fail("scan of %s: %d groups, want %d; exact %v, want %v; %v", describeRequest(request), groups, len(want), exact, result.Exact, err)
	}
}

// scanWorld has two metrics of some series over some days, in chunks and in the head.
func scanWorld(t *testing.T, now func() time.Time, hosts, days int) *DB {
	t.Helper()
	db, err := Open("data", Options{FS: vfs.NewMem(), Now: now, MaintainInterval: -1, MinFreeBytes: -1, MinChunkSamples: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	for day := range days {
		var batch Batch
		for host := range hosts {
			for _, name := range []string{"cpu", "mem"} {
				id, err := db.Resolve(name, model.Tags{{Key: "host", Value: fmt.Sprint(host)}})
				if err != nil {
					t.Fatal(err)
				}
				for i := range 24 {
					batch.Add(id, int64(day)*24*hour+int64(i)*hour, float64(host*1000+day*24+i))
				}
			}
		}
		if err := db.Write(&batch); err != nil {
			t.Fatal(err)
		}
		if day%5 != 4 {
			if err := db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return db
}

var wholeTime = Selection{From: model.MinTime, To: model.MaxTime}

// TestScanPinsAgain lets each pin be old at once, so that every day of every series is read with another,
// while what was scanned already and what was not is flushed between them.
func TestScanPinsAgain(t *testing.T) {
	var clock atomic.Int64
	db := scanWorld(t, func() time.Time { return time.Unix(0, clock.Add(int64(maxPinAge))) }, 3, 2*maxOpenReaders)
	want, err := scanRows(db, wholeTime)
	if err != nil || len(want) != 2*3*2*maxOpenReaders*24 {
		t.Fatalf("%d rows, %v", len(want), err)
	}
	blocks := 0
	var got []oracleRow
	err = db.Scan(t.Context(), wholeTime, func(s model.Series, times []int64, values []float64) error {
		if blocks++; blocks%50 == 0 {
			if err := db.Flush(); err != nil {
				return err
			}
		}
		for i, at := range times {
			got = append(got, oracleRow{string(model.AppendIdentity(nil, s.Name, s.Tags)), at, math.Float64bits(values[i])})
		}
		return nil
	})
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%d rows, want %d; %v", len(got), len(want), err)
	}
}

func TestScanStops(t *testing.T) {
	db := scanWorld(t, nil, 3, 4)
	failure := errors.New("enough")
	blocks := 0
	err := db.Scan(t.Context(), wholeTime, func(model.Series, []int64, []float64) error {
		blocks++
		return failure
	})
	if !errors.Is(err, failure) || errors.Is(err, ErrCorrupt) || blocks != 1 {
		t.Errorf("after fn's error: %v, %d blocks", err, blocks)
	}
	ctx, cancel := context.WithCancel(t.Context())
	blocks = 0
	err = db.Scan(ctx, wholeTime, func(model.Series, []int64, []float64) error {
		blocks++
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) || errors.Is(err, ErrCorrupt) || blocks != 1 {
		t.Errorf("after the context's end: %v, %d blocks", err, blocks)
	}
}

// TestScanOfSeriesThatGo drops the series that a scan has found and not yet come to.
func TestScanOfSeriesThatGo(t *testing.T) {
	db := scanWorld(t, nil, 3, 2)
	var seen []string
	err := db.ScanSeries(t.Context(), wholeTime, func(s model.Series) error {
		if len(seen) == 0 {
			if _, err := db.Delete(t.Context(), Selection{Matchers: []*model.Matcher{model.EqualMatcher(model.NameKey, "mem")}, From: model.MinTime, To: model.MaxTime}, false); err != nil {
				return err
			}
			if err := db.Maintain(t.Context()); err != nil {
				return err
			}
		}
		seen = append(seen, s.Name+s.Tags.Get("host"))
		return nil
	})
	if err != nil || !slices.Equal(seen, []string{"cpu0", "cpu1", "cpu2"}) {
		t.Errorf("saw %v, %v", seen, err)
	}
	if rows, err := scanRows(db, wholeTime); err != nil || len(rows) != 3*2*24 {
		t.Errorf("%d rows are left, %v", len(rows), err)
	}
}

// TestEachFoundFindsAgain drops series between their being found and their being looked at.
func TestEachFoundFindsAgain(t *testing.T) {
	db := scanWorld(t, nil, 5, 2)
	var seen []string
	err := db.eachFound(t.Context(), wholeTime, 2, func(_ found, series []model.Series) error {
		for _, s := range series {
			seen = append(seen, s.Name+s.Tags.Get("host"))
		}
		if len(seen) > 2 {
			return nil
		}
		matcher, err := model.NewMatcher("host", model.MatchRegexp, "[34]")
		if err != nil {
			return err
		}
		if _, err := db.Delete(t.Context(), Selection{Matchers: []*model.Matcher{model.EqualMatcher(model.NameKey, "cpu"), matcher}, From: model.MinTime, To: model.MaxTime}, false); err != nil {
			return err
		}
		return db.Maintain(t.Context())
	})
	want := []string{"cpu0", "cpu1", "cpu2", "mem0", "mem1", "mem2", "mem3", "mem4"}
	if err != nil || !slices.Equal(seen, want) {
		t.Errorf("saw %v, %v", seen, err)
	}
}
