package wal

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

var (
	crashSeed  = flag.Uint64("wal.seed", 0, "seed of TestCrashes; 0: a new one each time")
	crashCount = flag.Int("wal.crashes", 2000, "crashes in TestCrashes")
)

// errDead is what every change of the file system returns from the crash on.
var errDead = errors.New("the process is dead")

// crasher runs random operations on a log and a trivial model of it, and kills the process or cuts the
// power again and again: before any change of the file system, inside of Replay and of the creation of
// segments as well.
type crasher struct {
	t   *testing.T
	rng *rand.Rand
	fs  *vfs.MemFS
	log *Log

	// The model. What is behind synced may or may not survive.
	frames    []Frame // consecutive
	synced    int     // of frames
	truncated LSN     // highest that Truncate was called with

	countdown int        // changes of the file system until the crash
	crashed   *vfs.MemFS // what the crash left
	crashes   int
	survived  int // frames that had not been synced and were yet there
}

func TestCrashes(t *testing.T) {
	seed := *crashSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d (repeat with -wal.seed=%d)", seed, seed)
	c := &crasher{t: t, rng: rand.New(rand.NewPCG(seed, 0)), fs: newTestFS(t)}
	count := *crashCount
	if testing.Short() {
		count = 300
	}
	c.start()
	for c.crashes < count && !t.Failed() {
		if c.crashed == nil {
			c.step()
			continue
		}
		c.fs, c.crashed = c.crashed, nil
		c.crashes++
		c.start()
	}
	if c.survived == 0 || c.synced == 0 {
		t.Errorf("%d frames synced and %d unsynced ones survived: the test does not test", c.synced, c.survived)
	}
}

// inject counts down to the next crash.
func (c *crasher) inject(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() == errorfs.OpIsRead || op.Kind == errorfs.OpFileClose {
		return nil
	}
	if c.countdown--; c.countdown > 0 {
		return nil
	}
	if c.countdown == 0 {
		c.crashed = c.fs // kill -9: what was written is there, durable or not
		if c.rng.IntN(3) > 0 {
			percent := []int{0, 10, 50, 90, 100}[c.rng.IntN(5)]
			c.crashed = c.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: c.rng})
		}
	}
	return errDead
}

// start opens the log, replays it from some checkpoint and compares.
func (c *crasher) start() {
	c.t.Helper()
	c.countdown = 1 + c.rng.IntN(1<<(2+c.rng.IntN(7))) // mostly soon, at times late
	var err error
	fs := errorfs.Wrap(c.fs, errorfs.InjectorFunc(c.inject))
	if c.log, err = Open(Options{FS: fs, Dir: testDir, SegmentBytes: 20_000}); err != nil {
		c.check(err)
		return
	}
	after := c.truncated
	if c.synced > 0 && c.rng.IntN(2) == 0 {
		after = max(after, c.frames[c.rng.IntN(c.synced)].First)
	}
	var got []Frame
	result, err := c.log.Replay(after, func(f Frame) error {
		got = append(got, Frame{First: f.First, Last: f.Last, Payload: bytes.Clone(f.Payload)})
		return nil
	})
	if len(result.Damage) > 0 {
		c.t.Errorf("crash %d: nothing decayed, and yet: %v", c.crashes, result.Damage)
	}
	if err != nil {
		c.check(err)
		return
	}
	kept := c.compare(after, got)
	c.survived += max(0, kept-c.synced)
	c.frames, c.synced = c.frames[:kept], kept
}

// check accepts an error only of a process that is dead.
func (c *crasher) check(err error) {
	c.t.Helper()
	if err != nil && (c.crashed == nil || !errors.Is(err, errDead)) {
		c.t.Fatal(err)
	}
}

// compare checks that what was replayed is what the model has above after, up to some frame that was not
// synced. It returns how many of the model's frames there are.
func (c *crasher) compare(after LSN, got []Frame) (kept int) {
	c.t.Helper()
	for kept < len(c.frames) && c.frames[kept].Last <= after {
		kept++
	}
	for _, f := range got {
		if kept == len(c.frames) {
			c.t.Fatalf("crash %d: frame %d to %d was never appended", c.crashes, f.First, f.Last)
		}
		want := c.frames[kept]
		if f.First != want.First || f.Last != want.Last || !bytes.Equal(f.Payload, want.Payload) {
			c.t.Fatalf("crash %d: got frame %d to %d of %d bytes, want %d to %d of %d bytes (or the same bytes)", c.crashes,
				f.First, f.Last, len(f.Payload), want.First, want.Last, len(want.Payload))
		}
		kept++
	}
	if kept < c.synced {
		c.t.Fatalf("crash %d: %d of %d synced frames are there", c.crashes, kept, c.synced)
	}
	return kept
}

func (c *crasher) step() {
	var err error
	what := c.rng.IntN(100)
	switch {
	case what < 55:
		err = c.append()
	case what < 85:
		if err = c.log.Sync(); err == nil {
			c.synced = len(c.frames)
		}
	case what < 90:
		c.log.Rotate()
	case what < 96:
		if c.synced > 0 {
			c.truncated = max(c.truncated, c.frames[c.rng.IntN(c.synced)].Last)
			err = c.log.Truncate(c.truncated)
		}
	default:
		if err = c.log.Close(); err == nil {
			c.synced = len(c.frames)
			c.start()
		}
	}
	c.check(err)
	// The model need not hold what no start will ask for.
	for c.synced > 1 && c.frames[0].Last < c.truncated {
		c.frames = c.frames[1:]
		c.synced--
	}
}

func (c *crasher) append() error {
	first := c.log.last + 1
	size := c.rng.IntN(200)
	if c.rng.IntN(4) == 0 {
		size = c.rng.IntN(30_000)
	}
	f := Frame{First: first, Last: first + LSN(c.rng.IntN(3)), Payload: make([]byte, size)}
	for i := range f.Payload {
		f.Payload[i] = byte(c.rng.Uint32())
	}
	copy(f.Payload, fmt.Sprint(first))
	c.frames = append(c.frames, f)
	return c.log.Append(f.First, f.Last, f.Payload)
}
