package wal_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/flopynet/collector/model"
	"github.com/flopynet/collector/wal"
	"github.com/flopynet/collector/wal/record"
)

func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{100, 16 << 10, 1 << 20} {
		for _, synced := range []bool{false, true} {
			b.Run(fmt.Sprintf("bytes=%d/synced=%v", size, synced), func(b *testing.B) {
				log := openLog(b, b.TempDir())
				payload := make([]byte, size)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				lsn := wal.LSN(0)
				for b.Loop() {
					lsn++
					if err := log.Append(lsn, lsn, payload); err != nil {
						b.Fatal(err)
					}
					if synced {
						if err := log.Sync(); err != nil {
							b.Fatal(err)
						}
					}
					if lsn%4096 == 0 {
						if err := log.Truncate(lsn); err != nil {
							b.Fatal(err)
						}
					}
				}
				if err := log.Close(); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
}

// BenchmarkReplay reads, checks and decodes two million samples in batches of 5,000.
func BenchmarkReplay(b *testing.B) {
	const frames, samples = 400, 5000
	for _, places := range []int{0, 2, -1} {
		b.Run(fmt.Sprintf("decimals=%d", places), func(b *testing.B) {
			dir := b.TempDir()
			written := writeSamples(b, dir, frames, samples, places)
			var ids []model.SeriesID
			var times []int64
			var values []float64
			size := int64(0)
			for b.Loop() {
				log, err := wal.Open(wal.Options{FS: vfs.Default, Dir: dir})
				if err != nil {
					b.Fatal(err)
				}
				sum := 0.0
				result, err := log.Replay(0, func(f wal.Frame) error {
					reader := record.NewReader(f.Payload)
					for reader.Next() {
						if ids, times, values, err = reader.Samples(ids, times, values); err != nil {
							return err
						}
						sum += values[0] + values[len(values)-1]
					}
					return reader.Err()
				})
				if err != nil || result.Frames != frames || math.Float64bits(sum) != math.Float64bits(written) {
					b.Fatalf("%+v, %v, sum %v of %v", result, err, sum, written)
				}
				size = result.Bytes
			}
			perSecond := frames * samples * float64(b.N) / b.Elapsed().Seconds()
			b.SetBytes(size)
			b.ReportMetric(perSecond/1e6, "Msamples/s")
			b.ReportMetric(float64(size)/(frames*samples), "B/sample")
		})
	}
}

// writeSamples writes frames of one batch each and returns the sum of their first and last values.
func writeSamples(b *testing.B, dir string, frames, samples, places int) (sum float64) {
	rng := rand.New(rand.NewPCG(1, 2))
	log := openLog(b, dir)
	ids, times, values := make([]model.SeriesID, samples), make([]int64, samples), make([]float64, samples)
	for frame := range frames {
		for i := range ids {
			ids[i] = model.SeriesID(1 + i%500)
			times[i] = int64(frame*10+i/500) * 10_000_000_000
			values[i] = rng.Float64() * 100
			if places >= 0 {
				power := math.Pow10(places)
				values[i] = math.Round(values[i]*power) / power
			}
		}
		sum += values[0] + values[samples-1]
		lsn := wal.LSN(frame + 1)
		if err := log.Append(lsn, lsn, record.AppendSamples(nil, ids, times, values)); err != nil {
			b.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		b.Fatal(err)
	}
	return sum
}

func openLog(b *testing.B, dir string) *wal.Log {
	log, err := wal.Open(wal.Options{FS: vfs.Default, Dir: dir})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := log.Replay(0, nil); err != nil {
		b.Fatal(err)
	}
	return log
}
