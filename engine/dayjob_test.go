package engine

import (
	"errors"
	"fmt"
	"testing"

	"github.com/flopynet/collector/model"
)

// TestStoppedRollup stops a rollup between two of its batches, and then deletes what the first has rolled up.
func TestStoppedRollup(t *testing.T) {
	w := newWorld(t, Options{MinChunkSamples: 1})
	w.setNow(worldStart + 6*hour)
	for i := range jobBatchSeries + 10 {
		w.sample("load", fmt.Sprint(i), worldStart+hour, 1)
	}
	if err := w.db.flushHead(true); err != nil {
		t.Fatal(err)
	}
	w.db.diskFull.Store(true) // jobs stop at the end of a batch
	err := w.db.maintain(t.Context(), pass{force: true, share: 1})
	w.db.diskFull.Store(false)
	if !errors.Is(err, errStopped) {
		t.Fatalf("maintenance ends with %v", err)
	}
	w.remove("load", "0", model.MinTime, model.MaxTime)
	w.setNow(worldStart + 30*hour)
	w.sample("load", "0", worldStart+25*hour, 2)
	w.compareTiers("load")
	w.maintain()
	w.compareTiers("load")
}
