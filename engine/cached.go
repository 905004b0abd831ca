package engine

import (
	"fmt"
	"strings"

	"github.com/flopynet/collector/model"
)

// cached answers a request from the result cache, or from read, whose answer it keeps.
func (db *DB) cached(r *AggregateRequest, read func() (*AggregateResult, error)) (*AggregateResult, error) {
	from := r.From
	if needsOf(r.Functions, false).lookback {
		from = max(from-lookback, model.MinTime)
	}
	if db.results.maxBytes.Load() == 0 || db.expiry.load().hides(from, db.opts.Now().UnixNano()) {
		return read() // what retention hides changes with the clock
	}
	key := db.requestKey(r)
	if value, found := db.results.get(key, db.changes.changedSince); found {
		result := *value.(*AggregateResult)
		unit, err := db.unitOf(result.unitIDs) // not data of an hour, so it may have changed
		if err != nil {
			return nil, err
		}
		result.Unit = unit
		result.Explain.Cached = true
		return &result, nil
	}
	// What is applied after this may or may not be seen, so the answer is as old as this.
	lsn := db.pipe.applied.Load()
	result, err := read()
	if err != nil {
		return nil, err
	}
	db.results.put(cachedResult{key: key, value: result, bytes: result.bytes(), lsn: lsn, from: from, to: r.To})
	return result, nil
}

// requestKey returns a text that equal requests share, and those alone. Answers given under another
// retention are of another epoch.
func (db *DB) requestKey(r *AggregateRequest) string {
	var key strings.Builder
	fmt.Fprintf(&key, "%d %d %d %v", db.Epoch(), r.From, r.To, r.GroupAll)
	for _, m := range r.Matchers {
		fmt.Fprintf(&key, " %d %q %q", m.Op, m.Key, m.Value)
	}
	key.WriteString(" by")
	for _, tag := range r.GroupBy {
		fmt.Fprintf(&key, " %q", tag)
	}
	for _, f := range r.Functions {
		fmt.Fprintf(&key, " %d %v", f.Kind, f.Quantile)
	}
	// Edges are even, for the most part: runs of one width are written short.
	last := int64(0)
	for i, repeated := 1, 0; i < len(r.Edges); i++ {
		width := r.Edges[i] - r.Edges[i-1]
		if width == last {
			repeated++
		}
		if width != last || i == len(r.Edges)-1 {
			fmt.Fprintf(&key, " x%d %d", repeated, width)
			last, repeated = width, 0
		}
	}
	fmt.Fprintf(&key, " from %d", r.Edges[0])
	return key.String()
}

// bytes returns about how much memory the result takes.
func (r *AggregateResult) bytes() int {
	const group, number, tag = 128, 8, 64
	total := group
	for _, g := range r.Groups {
		total += group + tag*len(g.Tags) + number*(len(g.Buckets)+len(g.Values))
	}
	return total
}
