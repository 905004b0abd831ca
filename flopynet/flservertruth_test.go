package flopynet

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/internal/testbed"
	"github.com/flopynet/collector/model"
)

// flRun is a simulated FL server and a collector that polls it, to both of which things happen.
type flRun struct {
	*testing.T
	random *rand.Rand
	now    atomic.Int64 // ns
	sim    *testbed.Testbed

	disk    *vfs.MemFS
	crash   *vfs.MemFS // the disk as a crash leaves it, taken in the middle of a poll; nil: none
	crashIn int        // writes of samples until then; 0: none
	db      *engine.DB
	bed     *Testbed

	seenRounds map[roundKey]bool // in the table at a poll that all went well in
	seenEvents map[string]bool
	begun      int  // trainings since the last good poll
	blind      bool // there were two of them, once: which training rounds belong to can't be told
}

type roundKey struct {
	number int
	time   int64
}

func (r *flRun) clock() time.Time { return time.Unix(0, r.now.Load()).UTC() }

// open opens the collector on the disk.
func (r *flRun) open() {
	db, err := engine.Open("data", engine.Options{FS: r.disk, MinFreeBytes: -1, Now: r.clock})
	if err != nil {
		r.Fatal(err)
	}
	r.db = db
	r.bed, err = NewTestbed(db, Options{
		FLServer: PeerOptions{URL: r.sim.FL.URL(), Timeout: time.Minute}, Now: r.clock, Stored: r.stored,
	})
	if err != nil {
		r.Fatal(err)
	}
}

// stored takes the picture of a crash between a write of samples and what follows it.
func (r *flRun) stored(time.Time, int) {
	if r.crashIn--; r.crashIn == 0 {
		r.crash = r.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: r.random.IntN(101), RNG: r.random})
	}
}

func (r *flRun) close() {
	r.bed.Close()
	if err := r.db.Close(); err != nil {
		r.Fatal(err)
	}
}

// happen has something happen, or nothing.
func (r *flRun) happen() {
	modes := []testbed.Mode{testbed.Down, testbed.Status500, testbed.Garbage, testbed.Truncated, testbed.WrongShape, testbed.Redirect, testbed.Status503}
	var err error
	switch draw := r.random.IntN(100); {
	case draw < 8:
		failure := testbed.Failure{Mode: modes[r.random.IntN(len(modes))], For: time.Duration(r.random.IntN(120)+1) * time.Second}
		if failure.Mode != testbed.Down {
			failure.Path = []string{"", "/rounds", "/events", "/status"}[r.random.IntN(4)]
		}
		err = r.sim.FL.Fail(failure)
	case draw < 16:
		err = r.sim.FL.Heal()
	case draw < 19:
		err = r.sim.FL.Restart()
	case draw < 22:
		r.sim.FL.Train()
		r.begun++
	case draw < 28:
		r.close()
		r.open()
	case draw < 40:
		r.crashIn = 1 + r.random.IntN(4)
	}
	if err != nil {
		r.Fatal(err)
	}
}

// poll polls, and crashes if that was planned.
func (r *flRun) poll() {
	roundsErr, eventsErr := r.bed.fl.poll(r.Context()), r.bed.fl.events.poll(r.Context())
	if r.crash != nil {
		r.close()
		r.disk, r.crash = r.crash, nil
		r.open()
		return
	}
	if eventsErr == nil {
		for _, event := range r.sinceBoot() {
			r.seenEvents[FLServer+"/"+event.ID] = true
		}
	}
	if roundsErr != nil {
		return
	}
	r.blind = r.blind || r.begun > 1
	r.begun = 0
	table := map[int]testbed.Round{}
	for _, one := range r.sim.Rounds() {
		table[one.Number] = one
	}
	for _, one := range table {
		r.seenRounds[keyOf(one)] = true
	}
}

func keyOf(one testbed.Round) roundKey { return roundKey{one.Number, one.End.UnixNano()} }

// sinceBoot are the events that the server has in memory.
func (r *flRun) sinceBoot() []testbed.Event {
	events := r.sim.FLEvents()
	for i := range slices.Backward(events) {
		if events[i].Type == "SERVER_START" {
			return events[i:]
		}
	}
	return events
}

// compare compares what is kept with the simulator's truth.
func (r *flRun) compare() {
	truth := map[roundKey]testbed.Round{}
	for _, one := range r.sim.Rounds() {
		truth[keyOf(one)] = one
	}
	kept := map[roundKey]bool{}
	trainings, ordinals := map[int64]int{}, map[int]int64{} // ours by theirs, and back
	count := map[int64]int{}
	err := r.db.EachState(roundKind, func(name string, value []byte) error {
		got, err := openRound(name, value)
		if err != nil {
			return err
		}
		key := roundKey{got.number, got.time}
		want, ok := truth[key]
		switch {
		case !ok || kept[key]:
			r.Errorf("%s is kept, which never was or is kept twice", name)
		case got.Accuracy.value != want.Accuracy || got.Loss.value != want.Loss || got.Clients.integer() != want.Clients || got.RawMetrics == nil:
			r.Errorf("%s is %s, want %+v", name, got.raw, want)
		}
		kept[key] = true
		count[got.training]++
		if theirs, known := trainings[got.training]; known && theirs != want.Training && !r.blind {
			r.Errorf("%s is of training %d, others of ours are of %d", name, want.Training, theirs)
		}
		if ours, known := ordinals[want.Training]; known && ours != got.training && !r.blind {
			r.Errorf("%s is kept as of training %d, others of its training as of %d", name, got.training, ours)
		}
		trainings[got.training], ordinals[want.Training] = want.Training, got.training
		return nil
	})
	if err != nil {
		r.Error(err)
	}
	for _, one := range r.bed.fl.rounds.list() {
		if one.Count != count[one.Ordinal] {
			r.Errorf("training %d is said to have %d rounds, it has %d", one.Ordinal, one.Count, count[one.Ordinal])
		}
	}
	for key := range r.seenRounds {
		if !kept[key] {
			r.Errorf("round %d of %v is lost", key.number, time.Unix(0, key.time).UTC())
		}
	}
	r.compareSamples(truth, kept)
	r.compareEvents()
}

// compareSamples: each round has its samples, at its own time, and there are no others.
func (r *flRun) compareSamples(truth map[roundKey]testbed.Round, kept map[roundKey]bool) {
	byTime := map[int64]testbed.Round{}
	for key, one := range truth {
		byTime[key.time] = one
	}
	values := map[string]func(testbed.Round) float64{
		"round":    func(one testbed.Round) float64 { return float64(one.Number) },
		"accuracy": func(one testbed.Round) float64 { return one.Accuracy },
		"loss":     func(one testbed.Round) float64 { return one.Loss },
		"clients":  func(one testbed.Round) float64 { return float64(one.Clients) },
	}
	for name, value := range values {
		matchers := []*model.Matcher{model.EqualMatcher(model.NameKey, name), model.EqualMatcher(model.SourceKey, FLServer)}
		found := map[int64]bool{}
		err := r.db.Scan(r.Context(), engine.Selection{To: model.MaxTime, Matchers: matchers}, func(_ model.Series, times []int64, samples []float64) error {
			for i, at := range times {
				if one, ok := byTime[at]; !ok || value(one) != samples[i] {
					r.Errorf("%s is %v at %v, which is of no round", name, samples[i], time.Unix(0, at).UTC())
				}
				found[at] = true
			}
			return nil
		})
		if err != nil {
			r.Error(err)
		}
		for key := range kept {
			if !found[key.time] {
				r.Errorf("round %d of %v has no sample %s", key.number, time.Unix(0, key.time).UTC(), name)
			}
		}
	}
}

func (r *flRun) compareEvents() {
	truth := map[string]testbed.Event{}
	for _, event := range r.sim.FLEvents() {
		truth[FLServer+"/"+event.ID] = event
	}
	kept := map[string]bool{}
	for _, got := range storedEvents(r.T, r.db) {
		if want, ok := truth[got.ID]; !ok || kept[got.ID] || got.Time != want.Time.UnixNano() || got.Type != want.Type {
			r.Errorf("the event %+v, want %+v, once", got, want)
		}
		kept[got.ID] = true
	}
	for id := range r.seenEvents {
		if !kept[id] {
			r.Errorf("the event %s is lost: %+v", id, truth[id])
		}
	}
}

// TestFLServerAgainstTheTruth has a training of 50 rounds, and more that begin at random, polled while the server fails,
// restarts and begins trainings, and the collector is restarted and killed, at random. In the end all that could be seen
// must be there, once, and nothing else.
func TestFLServerAgainstTheTruth(t *testing.T) {
	seed := rand.Uint64()
	if text := os.Getenv("COLLECTOR_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	for i := range uint64(4) {
		t.Run(fmt.Sprintf("COLLECTOR_SEED=%d", seed+i), func(t *testing.T) {
			r := &flRun{
				T: t, random: rand.New(rand.NewPCG(seed+i, 0)), disk: vfs.NewCrashableMem(),
				seenRounds: map[roundKey]bool{}, seenEvents: map[string]bool{},
			}
			r.now.Store(noon.UnixNano())
			var err error
			if r.sim, err = testbed.New(testbed.Options{Seed: seed + i, Now: r.clock, NaiveTimes: i%2 == 0}); err != nil {
				t.Fatal(err)
			}
			defer r.sim.Close()
			r.open()
			defer func() { r.close() }()
			for steps := 0; steps < 120 || !r.sim.Complete(); steps++ {
				r.now.Add(int64(time.Duration(r.random.IntN(10_000)) * time.Millisecond))
				if steps < 200 {
					r.happen()
				}
				r.poll()
			}
			if err := r.sim.FL.Heal(); err != nil {
				t.Fatal(err)
			}
			r.now.Add(int64(rereadAfter + time.Minute))
			r.crashIn = 0
			for range 2 {
				if err := r.bed.fl.poll(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			r.poll()
			r.compare()
			t.Logf("%d rounds, %d events, %d trainings", len(r.seenRounds), len(r.seenEvents), len(r.bed.fl.rounds.list()))
		})
	}
}
