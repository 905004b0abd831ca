package timebench

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/flopynet/collector/engine"
)

const mib = 1 << 20

// setting reads a number from the environment.
func setting(b *testing.B, name string, otherwise int) int {
	b.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		b.Fatalf("%s is %q, it must be a positive number", name, text)
	}
	return n
}

// processTime returns the CPU time of all threads so far: what else runs on the machine disturbs it less than
// elapsed time.
func processTime(b *testing.B) time.Duration { return cpuTime(b, syscall.RUSAGE_SELF) }

func cpuTime(b *testing.B, who int) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(who, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// threadTime runs fn on one thread and returns the CPU time that it took.
func threadTime(b *testing.B, fn func()) time.Duration {
	b.Helper()
	const thread = 1 // RUSAGE_THREAD, of Linux
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	begin := cpuTime(b, thread)
	fn()
	return cpuTime(b, thread) - begin
}

// statusBytes reads a field of this process' memory from the kernel, such as VmRSS; 0 where there is none.
func statusBytes(field string) int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(status) {
		if rest, found := bytes.CutPrefix(line, []byte(field+":")); found {
			kib, _ := strconv.ParseInt(string(bytes.TrimSuffix(bytes.TrimSpace(rest), []byte(" kB"))), 10, 64)
			return kib << 10
		}
	}
	return 0
}

// forgetPeak gives back what memory isn't used and begins the kernel's peak anew.
func forgetPeak() {
	debug.FreeOSMemory()
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // where that is not to be had, the peak is that of the process
}

// heapInUse returns the bytes of live objects.
func heapInUse() int64 {
	runtime.GC()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return int64(memory.HeapAlloc)
}

// diskBytes adds up the blocks of the files below a folder, as du does.
func diskBytes(b *testing.B, dir string) int64 {
	b.Helper()
	total := int64(0)
	err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return ignoreGone(err)
		}
		info, err := entry.Info()
		if err != nil {
			return ignoreGone(err)
		}
		total += info.Sys().(*syscall.Stat_t).Blocks * 512
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return total
}

// ignoreGone lets files go while they are counted.
func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// profiled writes a CPU profile of fn, and one of what is in memory after it, if the environment asks for
// profiles.
func profiled(b *testing.B, name string, fn func()) {
	b.Helper()
	dir := os.Getenv("COLLECTOR_BENCH_PROFILES")
	if dir == "" {
		fn()
		return
	}
	create := func(kind string) *os.File {
		file, err := os.Create(filepath.Join(dir, strings.ReplaceAll(name, " ", "-")+kind))
		if err != nil {
			b.Fatal(err)
		}
		return file
	}
	cpu, heap := create(".cpu"), create(".heap")
	if err := pprof.StartCPUProfile(cpu); err != nil {
		b.Fatal(err)
	}
	defer func() {
		pprof.StopCPUProfile()
		if err := errors.Join(pprof.WriteHeapProfile(heap), cpu.Close(), heap.Close()); err != nil {
			b.Fatal(err)
		}
	}()
	fn()
}

// settle waits until the chunk store compacts no more, and its files haven't changed for some seconds.
func settle(b *testing.B, db *engine.DB) engine.Usage {
	b.Helper()
	var usage engine.Usage
	cpu := processTime(b)
	for quiet := 0; quiet < 4; {
		time.Sleep(500 * time.Millisecond)
		next, err := db.Usage()
		if err != nil {
			b.Fatal(err)
		}
		busy := processTime(b) - cpu
		cpu += busy
		quiet++
		if next != usage || busy > 50*time.Millisecond {
			quiet = 0
		}
		usage = next
	}
	return usage
}

// usageText spells what takes how much of the disk, in bytes a sample as well.
func usageText(u engine.Usage, samples int) string {
	var text strings.Builder
	for _, part := range []struct {
		name  string
		bytes uint64
	}{
		{"raw chunks", u.RawChunks}, {"raw postings", u.RawPostings}, {"catalogue", u.Catalogue},
		{"5m points", u.Points5m}, {"1h points", u.Points1h}, {"sketches", u.Sketches}, {"tier postings", u.TierPostings},
		{"rest of the tables", u.Rest}, {"all tables", u.Tables}, {"chunk store", u.ChunkStore}, {"log", u.WAL},
	} {
		fmt.Fprintf(&text, "  %-20s %9.2f MiB  %7.4f bytes a sample\n", part.name, float64(part.bytes)/mib, float64(part.bytes)/float64(samples))
	}
	return text.String()
}

// percentile returns the value at a rank of 0 to 1 of the durations, which it sorts.
func percentile(durations []time.Duration, rank float64) time.Duration {
	slices.Sort(durations)
	return durations[min(len(durations)-1, int(rank*float64(len(durations))))]
}

// report prints at once: what a benchmark with benchmarks inside logs is not shown.
func report(format string, args ...any) { fmt.Printf(format+"\n", args...) }
