package engine

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
)

func unchanged(int64, int64, uint64) bool { return false }

// put is resultCache.put of a value of this many bytes, what an entry takes beside included.
func putResult(c *resultCache, key string, value any, bytes int) {
	c.put(cachedResult{key: key, value: value, bytes: bytes - resultOverhead - len(key), lsn: 1})
}

func wantCached(t *testing.T, c *resultCache, key string, want any) {
	t.Helper()
	got, ok := c.get(key, unchanged)
	if ok != (want != nil) || got != want {
		t.Errorf("%s is %v, %t; want %v", key, got, ok, want)
	}
}

func TestResultCacheDropsWhatWasNotUsed(t *testing.T) {
	c := newResultCache(8000)
	for i := range 8 {
		putResult(c, fmt.Sprint("key", i), i, 1000)
	}
	wantCached(t, c, "key0", 0)
	putResult(c, "key8", 8, 1000)
	wantCached(t, c, "key0", 0)
	wantCached(t, c, "key1", nil)
	wantCached(t, c, "key8", 8)

	putResult(c, "key8", 88, 500) // in place of the other
	wantCached(t, c, "key8", 88)
	if got, want := c.stats(), (cacheStats{hits: 4, misses: 1, bytes: 7500, maxBytes: 8000, entries: 8}); got != want {
		t.Errorf("stats %+v, want %+v", got, want)
	}
	c.clear()
	wantCached(t, c, "key8", nil)
	if got, want := c.stats(), (cacheStats{hits: 4, misses: 2, maxBytes: 8000}); got != want {
		t.Errorf("after clear: stats %+v, want %+v", got, want)
	}
	putResult(c, "key8", 8, 1000)
	wantCached(t, c, "key8", 8)
}

func TestResultCacheRefusesTheLargest(t *testing.T) {
	c := newResultCache(8000)
	putResult(c, "fits", 1, 1000)
	putResult(c, "large", 2, 1001)
	wantCached(t, c, "fits", 1)
	wantCached(t, c, "large", nil)

	off := newResultCache(0)
	putResult(off, "key", 1, 1)
	wantCached(t, off, "key", nil)
	if got := off.stats(); got != (cacheStats{}) {
		t.Errorf("a cache that is off has stats %+v", got)
	}
}

func TestResultCacheDropsStaleEntries(t *testing.T) {
	c := newResultCache(1 << 20)
	entry := cachedResult{key: "key", value: "old", bytes: 10, lsn: 7, from: 100, to: 200}
	c.put(entry)
	asked := false
	_, ok := c.get("key", func(from, to int64, lsn uint64) bool {
		asked = from == 100 && to == 200 && lsn == 7
		return true
	})
	if ok || !asked {
		t.Errorf("a stale entry was served: %t, or not asked about: %t", ok, !asked)
	}
	if got, want := c.stats(), (cacheStats{misses: 1, maxBytes: 1 << 20}); got != want {
		t.Errorf("stats %+v, want %+v", got, want)
	}

	// Whoever finds the old entry stale must not drop the new one that came meanwhile.
	c.put(entry)
	fresh := entry
	fresh.value, fresh.lsn = "new", 8
	if _, ok := c.get("key", func(int64, int64, uint64) bool { c.put(fresh); return true }); ok {
		t.Error("a stale entry was served")
	}
	wantCached(t, c, "key", "new")

	c.put(entry) // read earlier, ready later
	wantCached(t, c, "key", "new")
}

func TestResultCacheInParallel(t *testing.T) {
	const maxBytes = 64 * (resultOverhead + 100)
	c := newResultCache(maxBytes)
	var group sync.WaitGroup
	for worker := range uint64(4) {
		group.Go(func() {
			random := rand.New(rand.NewPCG(worker, 1))
			for range 20_000 {
				n := random.IntN(200)
				key := fmt.Sprint(n)
				switch random.IntN(1000) {
				case 0:
					c.clear()
				case 1:
					c.stats()
				default:
					value, ok := c.get(key, func(int64, int64, uint64) bool { return random.IntN(10) == 0 })
					if ok && value != n {
						t.Errorf("key %s has value %v", key, value)
						return
					}
					if !ok {
						c.put(cachedResult{key: key, value: n, bytes: random.IntN(200), lsn: random.Uint64N(10)})
					}
				}
			}
		})
	}
	group.Wait()
	stats, sum := c.stats(), int64(0)
	for element := c.order.Front(); element != nil; element = element.Next() {
		sum += element.Value.(*cachedResult).size()
	}
	if stats.bytes != sum || stats.entries != c.order.Len() || stats.bytes > maxBytes || stats.hits == 0 {
		t.Errorf("stats %+v, entries hold %d bytes, %d are in order", stats, sum, c.order.Len())
	}
}

func BenchmarkResultCacheGet(b *testing.B) {
	var h hourChanges
	for hour := range int64(8760) {
		h.note([]int64{hour * hourWidth}, 1)
	}
	h.note([]int64{9000 * hourWidth}, 3)
	c := newResultCache(64 << 20)
	keys := make([]string, 1024)
	for i := range keys {
		keys[i] = fmt.Sprintf("avg|cpu_usage_user|host=host-%d|60s", i)
		c.put(cachedResult{key: keys[i], value: i, bytes: 4096, lsn: 2, to: 8760 * hourWidth})
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if value, ok := c.get(keys[i%1024], h.changedSince); !ok || value != i%1024 {
			b.Fatal(value, ok)
		}
		i++
	}
}
