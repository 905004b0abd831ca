package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	crashes         = 20
	crashClients    = 2
	samplesPerBatch = 50
	crashStart      = 1_700_000_000_000 // of the samples' times, in milliseconds since the epoch

	// slowestStart is far above what a start takes (the test logs that); it decides only what is a hang.
	slowestStart = 30 * time.Second
)

// writer is a client that writes one series, batch after batch: sample n has the time crashStart + n ms
// and the value n. A batch without an acknowledgement is not repeated.
type writer struct {
	name         string
	next         int   // number of the next batch
	acknowledged []int // numbers of batches
}

// write sends batches until one fails, which is what a killed server does to it.
func (w *writer) write(base string, total *atomic.Int64) {
	for {
		number := w.next
		w.next++
		var values strings.Builder
		for i := range samplesPerBatch {
			n := number*samplesPerBatch + i
			fmt.Fprintf(&values, ",[%d,%d]", crashStart+n, n)
		}
		body := fmt.Sprintf(`{"source": "crash", "metrics": [{"name": "sequence", "tags": {"client": %q}, "values": [%s]}]}`,
			w.name, values.String()[1:])
		if post(base+"/metrics", body) != nil {
			return
		}
		w.acknowledged = append(w.acknowledged, number)
		total.Add(1)
	}
}

// verify reads the whole series back, page by page.
func (w *writer) verify(t *testing.T, p *process) {
	t.Helper()
	found := map[int]bool{}
	query := url.Values{
		"metric": {"sequence"}, "source": {"crash"}, "tags": {"client:" + w.name}, "epoch": {"ns"}, "limit": {"7000"},
		"from": {fmt.Sprint(crashStart)}, "to": {fmt.Sprint(crashStart + w.next*samplesPerBatch + 1)},
	}
	for {
		var page rows
		get(t, p.url+"/metrics/query?"+query.Encode(), &page)
		for _, point := range page.DataPoints {
			n := int(point.Timestamp/int64(time.Millisecond)) - crashStart
			if point.Value != float64(n) || found[n] {
				t.Fatalf("client %s: sample %d came back as %v, or twice", w.name, n, point.Value)
			}
			found[n] = true
		}
		if page.NextCursor == nil {
			break
		}
		query.Set("cursor", *page.NextCursor)
	}
	lost := 0
	for _, number := range w.acknowledged {
		for i := range samplesPerBatch {
			if !found[number*samplesPerBatch+i] {
				lost++
			}
		}
	}
	if lost > 0 {
		t.Fatalf("client %s: %d of %d acknowledged samples are lost", w.name, lost, len(w.acknowledged)*samplesPerBatch)
	}
}

// TestKillNineLosesNothing kills the server again and again in the middle of the writes of two clients,
// always on the same data directory, and looks for every sample that was ever acknowledged.
func TestKillNineLosesNothing(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	directory := t.TempDir()
	var writers []*writer
	for i := range crashClients {
		writers = append(writers, &writer{name: fmt.Sprint(i)})
	}
	var starts []time.Duration
	for range crashes {
		p := start(t, directory, "--self-metrics=false")
		starts = append(starts, p.ready)
		for _, w := range writers {
			w.verify(t, p)
		}
		crashUnderLoad(t, p, writers, 1+random.Int64N(100))
	}
	p := start(t, directory)
	for _, w := range writers {
		w.verify(t, p)
	}
	p.terminate(t)
	slices.Sort(starts)
	t.Logf("ready after: median %v, slowest %v; %d samples acknowledged", starts[len(starts)/2], starts[len(starts)-1], acknowledged(writers))
	if slowest := starts[len(starts)-1]; slowest > slowestStart {
		t.Errorf("one start took %v", slowest)
	}
}

// crashUnderLoad lets the writers write and kills the server once so many of their batches are acknowledged.
func crashUnderLoad(t *testing.T, p *process, writers []*writer, batches int64) {
	t.Helper()
	var total atomic.Int64
	var running sync.WaitGroup
	for _, w := range writers {
		running.Go(func() { w.write(p.url, &total) })
	}
	err := waitFor(func() bool { return total.Load() >= batches })
	p.kill(t)
	running.Wait()
	if err != nil {
		t.Fatalf("%d of %d batches acknowledged: %v; log:\n%s", total.Load(), batches, err, p.stderr)
	}
}

func waitFor(condition func() bool) error {
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(100 * time.Microsecond) {
		if time.Now().After(deadline) {
			return errors.New("waited too long")
		}
	}
	return nil
}

func acknowledged(writers []*writer) (samples int) {
	for _, w := range writers {
		samples += len(w.acknowledged) * samplesPerBatch
	}
	return samples
}
