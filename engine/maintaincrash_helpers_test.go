package engine

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/flopynet/collector/index"
	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/model"
)

// history is what a store should hold: an oracle for each write and delete that was begun, in their order.
type history struct {
	mu    sync.Mutex
	list  []*oracle // list[n] is what holds after n of them; none changes once it is in the list
	acked int       // of them
}

func newHistory(policy RetentionPolicy) *history {
	o := newOracle()
	o.policy = policy
	return &history{list: []*oracle{o}}
}

// begin notes a write or delete that is about to begin. There is one at a time.
func (h *history) begin(change func(*oracle)) {
	next := h.last().fork()
	change(next)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.list = append(h.list, next)
}

// ack notes that it was acknowledged.
func (h *history) ack() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.acked = len(h.list) - 1
}

func (h *history) last() *oracle {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.list[len(h.list)-1]
}

func (h *history) acknowledged() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.acked
}

// from returns what may hold when so many were acknowledged: all that was begun since may be there.
func (h *history) from(acked int) []*oracle {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.list[acked:])
}

// fork returns a copy that can be changed in every way.
func (o *oracle) fork() *oracle {
	c := newOracle()
	c.policy, c.now = o.policy, o.now
	for _, s := range o.series {
		copied := *s
		copied.samples, copied.times = maps.Clone(s.samples), slices.Clone(s.times)
		c.series = append(c.series, &copied)
		c.byKey[string(model.AppendIdentity(nil, s.Name, s.Tags))] = &copied
	}
	return c
}

// at returns the oracle as of a time.
func (o *oracle) at(now int64) *oracle {
	c := *o
	c.now = now
	return &c
}

// diskState is a copy of the disk as a crash would have left it, with what may be on it.
type diskState struct {
	fs      *crashableMem
	oracles []*oracle // one of them holds
	now     int64
	phase   string
	op      int // the crash came before this write operation of the phase
	percent int // of what was not synced is there
}

func (s *diskState) String() string {
	return fmt.Sprintf("crash in %s before write operation %d with %d%% of what was not synced", s.phase, s.op, s.percent)
}

// crashTaker takes the state of a disk before write operations.
type crashTaker struct {
	fs      *crashableMem
	history *history
	now     *atomic.Int64
	each    func(n int) bool // whether to take the state before the operation with this number
	percent func() int       // of another state, with some of what was not synced; 0: none

	mu     sync.Mutex
	random *rand.Rand
	phase  string // "": none are taken
	op     int
	seen   map[int]uint64 // fingerprint of the last state, by how much of what was not synced is there
	states []diskState
	taken  int // those that were the same as the one before included
}

// wrap returns the disk with the taker between.
func (c *crashTaker) wrap() vfs.FS {
	return errorfs.Wrap(c.fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			c.before()
		}
		return nil
	}))
}

// start begins to take states.
func (c *crashTaker) start(phase string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.phase, c.op, c.seen = phase, 0, make(map[int]uint64)
}

// stop takes the last state and returns all.
func (c *crashTaker) stop() []diskState {
	c.before()
	c.mu.Lock()
	defer c.mu.Unlock()
	states := c.states
	c.states, c.phase = nil, ""
	return states
}

func (c *crashTaker) before() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase == "" {
		return
	}
	c.op++
	if !c.each(c.op) {
		return
	}
	// Nothing of what was not synced is there after a loss of power, and all after the end of the process.
	for _, percent := range []int{0, 100, c.percent()} {
		c.take(percent)
	}
}

// take takes one state, unless it is the same as the last of its kind.
func (c *crashTaker) take(percent int) {
	c.taken++
	acked := c.history.acknowledged() // before the disk is copied: later acknowledgements need not be on it
	config := vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(c.random.Uint64(), 1))}
	state := diskState{fs: c.fs.CrashClone(config), now: c.now.Load(), phase: c.phase, op: c.op, percent: percent}
	state.oracles = c.history.from(acked)
	seen := fingerprint(state.fs, "data") + uint64(acked)<<32 + uint64(len(state.oracles))
	if last, found := c.seen[percent]; !found || last != seen {
		c.states, c.seen[percent] = append(c.states, state), seen
	}
}

// fingerprint is a hash of what is in a folder.
func fingerprint(fs vfs.FS, dir string) uint64 {
	hash := fnv.New64a()
	names, err := fs.List(dir)
	if err != nil {
		return 0
	}
	slices.Sort(names)
	sum := uint64(len(names))
	for _, name := range names {
		path := fs.PathJoin(dir, name)
		info, err := fs.Stat(path)
		if err != nil {
			continue
		}
		_, _ = io.WriteString(hash, path)
		if info.IsDir() {
			sum += 31 * fingerprint(fs, path)
			continue
		}
		if file, err := fs.Open(path); err == nil {
			_, _ = io.Copy(hash, file)
			_ = file.Close()
		}
	}
	return sum + hash.Sum64()
}

// match returns the oracle that agrees with the store.
func match(db *DB, oracles []*oracle, now int64, asked []AggregateRequest) (*oracle, error) {
	var errs []error
	for i, o := range oracles {
		err := checkAnswers(db, o.at(now), asked)
		if err == nil {
			return o, nil
		}
		errs = append(errs, fmt.Errorf("with %d of %d operations under way: %w", i, len(oracles)-1, err))
	}
	return nil, errors.Join(errs...)
}

var maintainNames = []string{"cpu", "memory", "disk"}

// checkAnswers compares all raw samples, and the answers to some requests, with the oracle's.
func checkAnswers(db *DB, o *oracle, asked []AggregateRequest) error {
	for _, name := range maintainNames {
		if err := checkRaw(db, o, name); err != nil {
			return fmt.Errorf("samples of %s: %w", name, err)
		}
	}
	for _, request := range asked {
		if err := checkAnswer(db, o, request); err != nil {
			return fmt.Errorf("%s: %w", describeRequest(request), err)
		}
	}
	return nil
}

func nameSelection(name string) Selection {
	return Selection{Matchers: []*model.Matcher{model.EqualMatcher(model.NameKey, name)}, From: model.MinTime, To: model.MaxTime}
}

func checkRaw(db *DB, o *oracle, name string) error {
	result, err := db.Samples(context.Background(), SamplesRequest{Selection: nameSelection(name), Limit: 1 << 20})
	if err != nil {
		return err
	}
	ids := make(map[string]model.SeriesID)
	for _, s := range result.Series {
		identity := string(model.AppendIdentity(nil, s.Name, s.Tags))
		if other, twice := ids[identity]; twice {
			return fmt.Errorf("%v has the ids %d and %d", s.Tags, other, s.ID)
		}
		ids[identity] = s.ID
	}
	var got []oracleRow
	for _, row := range result.Rows {
		s := result.Series[row.Series]
		got = append(got, oracleRow{string(model.AppendIdentity(nil, s.Name, s.Tags)), row.Time, math.Float64bits(row.Value)})
	}
	sortRows(got)
	for i := range got[:max(0, len(got)-1)] {
		if got[i].identity == got[i+1].identity && got[i].at == got[i+1].at {
			return fmt.Errorf("%+v is there twice", got[i])
		}
	}
	want := o.rows(nameSelection(name))
	for i := range min(len(want), len(got)) {
		if want[i] != got[i] {
			return fmt.Errorf("row %d of %d is %+v, want %+v of %d", i, len(got), got[i], want[i], len(want))
		}
	}
	if len(want) != len(got) {
		return fmt.Errorf("%d rows, want %d", len(got), len(want))
	}
	return nil
}

// checkAnswer compares an answer by whole hours.
func checkAnswer(db *DB, o *oracle, request AggregateRequest) error {
	result, err := db.Aggregate(context.Background(), request)
	if err != nil {
		return err
	}
	want := o.groups(request)
	if len(result.Groups) != len(want) {
		return fmt.Errorf("%d groups, want %d; %+v", len(result.Groups), len(want), result.Explain)
	}
	for _, group := range result.Groups {
		if group.Tags == nil {
			group.Tags = model.Tags{}
		}
		if err := checkGroup(request, result, group, want[fmt.Sprint(group.Tags)]); err != nil {
			return fmt.Errorf("group %v: %w; %+v", group.Tags, err, result.Explain)
		}
	}
	return nil
}

func checkGroup(request AggregateRequest, result *AggregateResult, group Group, buckets map[int]*oracleBucket) error {
	for i, number := range group.Buckets {
		bucket := buckets[number]
		if bucket == nil {
			return fmt.Errorf("bucket %d at %d should not be there", number, request.Edges[number])
		}
		for j, f := range request.Functions {
			got := group.Values[i*len(request.Functions)+j]
			if f.Kind == Quantile && result.Sketched {
				if !bucket.sketched(f, got, result.ErrorBound) {
					return fmt.Errorf("bucket %d at %d: function %v is %v", number, request.Edges[number], f, got)
				}
				continue
			}
			if needsOf([]Function{f}, false).changes && !result.Exact && result.RetentionBound {
				continue // only samples that are gone could tell
			}
			if value, tolerance := bucket.value(f); !sameValue(got, value, tolerance) {
				return fmt.Errorf("bucket %d at %d: function %v is %v, want %v", number, request.Edges[number], f, got, value)
			}
		}
	}
	if len(group.Buckets) != len(buckets) {
		return fmt.Errorf("%d buckets, want %d", len(group.Buckets), len(buckets))
	}
	return nil
}

// checkKeys compares what is stored of each partition, once Maintain came to its end: postings and chunks have
// the same series, and there is nothing of partitions that there aren't, no mark and no tombstone.
func checkKeys(db *DB) error {
	stored := make(map[index.Place]*storedSeries)
	for _, prefix := range []byte{keys.PrefixPartition, keys.PrefixPosting, keys.PrefixDirty, keys.PrefixChunk, keys.PrefixSketch, keys.PrefixTombstone} {
		err := db.eachKey([]byte{prefix}, func(key, _ []byte) error { return noteKey(stored, key) })
		if err != nil {
			return err
		}
	}
	for tier, partitions := range db.store.partitions {
		for number := range partitions {
			if stored[index.Place{Tier: model.Tier(tier), Partition: number}] == nil {
				return fmt.Errorf("partition %d of tier %s is in memory only", number, model.Tier(tier))
			}
		}
	}
	used := index.NewSet()
	for where, series := range stored {
		used.Or(series.chunks)
		if err := checkPlace(db, where, series); err != nil {
			return fmt.Errorf("partition %d of tier %s: %w", where.Partition, where.Tier, err)
		}
	}
	return checkCatalogue(db, used)
}

// storedSeries are those that have keys in a partition.
type storedSeries struct{ chunks, sketches *index.Set }

func noteKey(stored map[index.Place]*storedSeries, key []byte) error {
	if key[0] == keys.PrefixTombstone || key[0] == keys.PrefixDirty {
		return fmt.Errorf("there is still the tombstone or mark %x", key)
	}
	at := append([]byte{keys.PrefixPartition}, key[1:10]...)
	tier, number, err := keys.ParsePartition(at)
	if err != nil {
		return err
	}
	where := index.Place{Tier: tier, Partition: number}
	if key[0] == keys.PrefixPartition {
		stored[where] = &storedSeries{index.NewSet(), index.NewSet()}
		return nil
	}
	series := stored[where]
	if series == nil {
		return fmt.Errorf("key %x is of partition %d of tier %s, which there isn't", key, number, tier)
	}
	switch key[0] {
	case keys.PrefixChunk:
		c, err := keys.ParseChunk(key)
		series.chunks.Add(c.Series)
		return err
	case keys.PrefixSketch:
		c, err := keys.ParseSketch(key)
		series.sketches.Add(c.Series)
		return err
	}
	return nil
}

func checkPlace(db *DB, where index.Place, series *storedSeries) error {
	posted, err := index.PartitionSeries(db.chunks, where.Tier, where.Partition)
	if err != nil {
		return err
	}
	known, err := db.partitionSeries(where.Tier, where.Partition)
	if err != nil {
		return err
	}
	chunks := series.chunks.AppendTo(nil)
	if posted := posted.AppendTo(nil); !slices.Equal(posted, chunks) {
		return fmt.Errorf("series %d have postings, %d have chunks", posted, chunks)
	}
	if known := known.AppendTo(nil); !slices.Equal(known, chunks) {
		return fmt.Errorf("series %d are known to have postings, %d have", known, chunks)
	}
	if series.sketches.AndNot(series.chunks); !series.sketches.IsEmpty() {
		return fmt.Errorf("series %d have sketches and no points", series.sketches.AppendTo(nil))
	}
	return nil
}

// checkCatalogue checks that each identity has one id, that ids in use have an entry, and, after a sweep, that
// no others have.
func checkCatalogue(db *DB, used *index.Set) error {
	entries := index.NewSet()
	err := index.EachEntry(db.chunks, func(id model.SeriesID, _ uint64) error {
		entries.Add(id)
		return nil
	})
	if err != nil {
		return err
	}
	identities := make(map[string]model.SeriesID)
	err = index.LoadSeries(db.chunks, db.nameOf, entries.AppendTo(nil), func(s model.Series) error {
		identity := model.AppendIdentity(nil, s.Name, s.Tags)
		if other, twice := identities[string(identity)]; twice {
			return fmt.Errorf("the catalogue has %s %v as %d and %d", s.Name, s.Tags, other, s.ID)
		}
		identities[string(identity)] = s.ID
		if id, found, err := index.LookupSeries(db.chunks, identity); err != nil || !found || id != s.ID {
			return fmt.Errorf("%s %v is series %d, looked up as %d, %t, %w", s.Name, s.Tags, s.ID, id, found, err)
		}
		if id, found := db.active.Lookup(identity); found && id != s.ID {
			return fmt.Errorf("%s %v is series %d in the catalogue and %d in memory", s.Name, s.Tags, s.ID, id)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for id := range used.All() {
		if !entries.Contains(id) {
			return fmt.Errorf("series %d has chunks and no entry in the catalogue", id)
		}
	}
	for id := range entries.All() {
		if !used.Contains(id) {
			return fmt.Errorf("series %d has an entry in the catalogue and no chunks", id)
		}
	}
	return nil
}
