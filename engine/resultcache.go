package engine

import (
	"container/list"
	"sync"
	"sync/atomic"
)

const (
	// resultOverhead is about what an entry takes beside its value and the text of its key.
	resultOverhead = 256

	// largestShare is the part of the cache that one entry may take; a larger one would push out too many.
	largestShare = 8
)

// resultCache keeps the results that were asked for last, within a number of bytes. An entry serves while no
// hour it covers has changed since its result was read; who asks decides that, see hourChanges. Values are
// shared: nobody may change one.
type resultCache struct {
	maxBytes atomic.Int64 // 0: nothing is kept

	mu           sync.Mutex
	entries      map[string]*list.Element
	order        *list.List // of *cachedResult, the one used last in front
	bytes        int64
	hits, misses uint64
}

// cachedResult is an entry. It doesn't change once it is in the cache.
type cachedResult struct {
	key      string
	value    any
	bytes    int    // of memory that the value takes
	lsn      uint64 // applied before the value was read
	from, to int64  // the data that it was made of, [from, to) in nanoseconds since the epoch
}

// size returns what the entry counts for.
func (r *cachedResult) size() int64 { return int64(r.bytes) + int64(len(r.key)) + resultOverhead }

// cacheStats is a snapshot of a cache's measurements. A hit on an entry that turned out stale is a miss.
type cacheStats struct {
	hits, misses    uint64
	bytes, maxBytes int64
	entries         int
}

// newResultCache returns an empty cache of at most maxBytes; 0 keeps nothing.
func newResultCache(maxBytes int64) *resultCache {
	c := &resultCache{entries: make(map[string]*list.Element), order: list.New()}
	c.maxBytes.Store(maxBytes)
	return c
}

// get returns the value of the key, unless changed says that data in its range was changed by an LSN above
// its own: then the entry goes. changed is called without the cache's lock.
func (c *resultCache) get(key string, changed func(from, to int64, lsn uint64) bool) (value any, ok bool) {
	if c.maxBytes.Load() == 0 {
		return nil, false
	}
	result := c.find(key)
	isStale := result != nil && changed(result.from, result.to, result.lsn)
	c.mu.Lock()
	defer c.mu.Unlock()
	if result == nil || isStale {
		c.misses++
		if element := c.entries[key]; isStale && element != nil && element.Value == result {
			c.remove(element)
		}
		return nil, false
	}
	c.hits++
	return result.value, true
}

// find returns the entry of the key, or nil, and counts it as used.
func (c *resultCache) find(key string) *cachedResult {
	c.mu.Lock()
	defer c.mu.Unlock()
	element := c.entries[key]
	if element == nil {
		return nil
	}
	c.order.MoveToFront(element)
	return element.Value.(*cachedResult)
}

// put keeps the result and drops those that were not used for the longest time to make room. Of two results
// of one key the one with the higher LSN stays, which need not be the one that was ready last.
func (c *resultCache) put(result cachedResult) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if result.size() > c.maxBytes.Load()/largestShare {
		return
	}
	if element := c.entries[result.key]; element != nil {
		if element.Value.(*cachedResult).lsn > result.lsn {
			return
		}
		c.remove(element)
	}
	c.entries[result.key] = c.order.PushFront(&result)
	c.bytes += result.size()
	c.shrink()
}

// resize changes how much is kept.
func (c *resultCache) resize(maxBytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.maxBytes.Store(maxBytes)
	c.shrink()
}

// shrink drops what was not used for the longest time until the rest fits. The caller holds the lock.
func (c *resultCache) shrink() {
	for c.bytes > c.maxBytes.Load() {
		c.remove(c.order.Back())
	}
}

// remove drops an entry. The caller holds the lock.
func (c *resultCache) remove(element *list.Element) {
	result := c.order.Remove(element).(*cachedResult)
	delete(c.entries, result.key)
	c.bytes -= result.size()
}

// clear drops all entries.
func (c *resultCache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.entries)
	c.order.Init()
	c.bytes = 0
}

// stats returns the cache's measurements.
func (c *resultCache) stats() cacheStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return cacheStats{hits: c.hits, misses: c.misses, bytes: c.bytes, maxBytes: c.maxBytes.Load(), entries: len(c.entries)}
}
