package ingest

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// batchIDs lists the series of a batch and the epoch at which they were resolved.
func batchIDs(batch *engine.Batch) string {
	fields := reflect.ValueOf(batch).Elem()
	return fmt.Sprintf("%v of epoch %d", fields.FieldByName("ids"), fields.FieldByName("epoch").Uint())
}

// dropAll forgets the series, as if all had been dropped, and begins an epoch.
func (r *memoryResolver) dropAll() {
	clear(r.ids)
	r.epoch++
}

func TestAnEpochDropsTheCache(t *testing.T) {
	d := newTestDecoder()
	resolver := d.resolver.(*memoryResolver)
	var batch engine.Batch
	var got []string
	for step := range 6 {
		if step == 2 || step == 4 {
			resolver.dropAll()
		}
		if _, err := d.Decode([]byte(`[{"name":"a","value":1},{"name":"b","value":1,"unit":"u"}]`), Metrics, testNow, &batch); err != nil {
			t.Fatal(err)
		}
		d.Commit()
		_, units := readBatch(&batch, resolver.series)
		got = append(got, fmt.Sprintf("%s, %d units", batchIDs(&batch), len(units)))
	}
	want := []string{
		"[1 2] of epoch 0, 1 units", "[1 2] of epoch 0, 0 units", "[3 4] of epoch 1, 1 units",
		"[3 4] of epoch 1, 0 units", "[5 6] of epoch 2, 1 units", "[5 6] of epoch 2, 0 units",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// interruptedResolver does something else once it has given an id.
type interruptedResolver struct {
	*memoryResolver
	interrupt func()
}

func (r *interruptedResolver) Resolve(name string, tags model.Tags) (model.SeriesID, error) {
	id, err := r.memoryResolver.Resolve(name, tags)
	if interrupt := r.interrupt; interrupt != nil {
		r.interrupt = nil
		interrupt()
	}
	return id, err
}

// TestAnOldEpochLeavesNothing lets all series be dropped while a body is decoded: its ids must not come to
// later ones, even if another body has already begun the new epoch's cache.
func TestAnOldEpochLeavesNothing(t *testing.T) {
	resolver := &interruptedResolver{memoryResolver: newMemoryResolver()}
	cache := NewCache(CacheOptions{})
	decode := func(name string) string {
		var batch engine.Batch
		if _, err := NewDecoder(cache, resolver).Decode([]byte(`[{"name":"`+name+`","value":1}]`), Metrics, testNow, &batch); err != nil {
			t.Fatal(err)
		}
		return batchIDs(&batch)
	}
	resolver.interrupt = func() {
		resolver.dropAll()
		if got := decode("other"); got != "[2] of epoch 1" {
			t.Errorf("meanwhile: %s", got)
		}
	}
	got := []string{decode("a"), decode("a"), decode("other")}
	if diff := cmp.Diff([]string{"[1] of epoch 0", "[3] of epoch 1", "[2] of epoch 1"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// A body whose epoch was over before it came to the cache gets the newer one.
	if table := cache.at(0); table.epoch != 1 {
		t.Errorf("the table of epoch 0 is of %d", table.epoch)
	}
}

// TestRetentionClasses gives a body's one time to series that are kept for different times.
func TestRetentionClasses(t *testing.T) {
	day := 24 * time.Hour
	db, err := engine.Open("data", engine.Options{
		FS: vfs.NewMem(), Now: func() time.Time { return time.Unix(0, testNow) }, MaintainInterval: -1,
		Retention: engine.RetentionPolicy{
			Default: engine.Retention{Raw: 10 * day},
			Rules: []engine.RetentionRule{
				{Match: "*", Source: "lab", Retention: engine.Retention{Raw: 30 * day}},
				{Match: "short", Retention: engine.Retention{Raw: day}},
			},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	const metrics = `[{"name":"short","value":1},{"name":"long","value":1},{"name":"short","value":3},{"name":"short","value":2,"source":"lab"},{"name":"long","value":2,"source":"lab"},` +
		`{"name":"short","values":[["now",1],["now-2d",1]]},{"name":"long","values":[["now-9d",1],["now",1]]},{"name":"long","timestamp":"now-11d","value":1}]`
	d := NewDecoder(NewCache(CacheOptions{}), db)
	decode := func(age string) (rejected []string) {
		t.Helper()
		var batch engine.Batch
		report, err := d.Decode([]byte(`{"timestamp":"now-`+age+`","metrics":`+metrics+`}`), Metrics, testNow, &batch)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range report.Errors {
			rejected = append(rejected, fmt.Sprint(r.Index, " ", r.Reason))
		}
		return rejected
	}
	const short, tooOld = "timestamp 2024-01-13T10:30:00Z is older than the retention of ", "7 timestamp 2024-01-04T10:30:00Z is older than the retention of 10 days"
	want := []string{"0 " + short + "24h0m0s", "2 " + short + "24h0m0s", "5 " + short + "24h0m0s", tooOld}
	for pass := range 2 { // the second by the cache, but for what was refused
		if diff := cmp.Diff(want, decode("2d")); diff != "" {
			t.Errorf("pass %d (-want +got):\n%s", pass, diff)
		}
		if made := db.Stats().Series; made != 3 {
			t.Errorf("pass %d: there are %d series, want those of long and of lab", pass, made)
		}
	}
	// Once there is a time that they take, all are in the cache.
	if diff := cmp.Diff([]string{want[2], want[3]}, decode("1h")); diff != "" {
		t.Errorf("an hour old (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, decode("2d")); diff != "" {
		t.Errorf("by the cache (-want +got):\n%s", diff)
	}
	// What is allowed changes with the policy, for series in the cache too.
	if err := db.SetRetention(engine.RetentionPolicy{Default: engine.Retention{Raw: 5 * day}}); err != nil {
		t.Fatal(err)
	}
	want = []string{
		"6 timestamp 2024-01-06T10:30:00Z is older than the retention of 5 days",
		"7 timestamp 2024-01-04T10:30:00Z is older than the retention of 5 days",
	}
	if diff := cmp.Diff(want, decode("2d")); diff != "" {
		t.Errorf("after SetRetention (-want +got):\n%s", diff)
	}
}
