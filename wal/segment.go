package wal

import (
	"fmt"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const segmentSuffix = ".wal"

// unknownLSN is above every LSN, so that Truncate keeps a segment that was not yet read.
const unknownLSN LSN = math.MaxUint64

// segment is what the log knows of one file.
type segment struct {
	number    uint64
	size      int64  // of the file
	last      LSN    // no frame up to the end of this segment has a higher one; before Replay: unknownLSN
	header    header // as Replay read it
	headerErr error  // why Replay could not
}

// hollow reports whether the segment was still being made when the process ended: it has no good
// header, and no room for a frame, which is written only once the header is durable.
func (s *segment) hollow() bool { return s.headerErr != nil && s.size <= segmentHeader }

func segmentName(number uint64) string { return fmt.Sprintf("%016x%s", number, segmentSuffix) }

// parseSegmentName is the inverse of segmentName.
func parseSegmentName(name string) (number uint64, ok bool) {
	digits, found := strings.CutSuffix(name, segmentSuffix)
	if !found {
		return 0, false
	}
	number, err := strconv.ParseUint(digits, 16, 64)
	return number, err == nil && number > 0 && segmentName(number) == name
}

// listSegments returns the segments of a folder with their numbers and sizes, in order.
func listSegments(fs vfs.FS, dir string) ([]segment, error) {
	names, err := fs.List(dir)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", dir, err)
	}
	var segments []segment
	for _, name := range names {
		number, ok := parseSegmentName(path.Base(name))
		if !ok {
			continue
		}
		info, err := fs.Stat(fs.PathJoin(dir, segmentName(number)))
		if err != nil {
			return nil, fmt.Errorf("size of segment %s: %w", name, err)
		}
		segments = append(segments, segment{number: number, size: info.Size(), last: unknownLSN})
	}
	slices.SortFunc(segments, func(a, b segment) int {
		if a.number < b.number {
			return -1
		}
		return 1
	})
	return segments, nil
}

// createSegment makes a segment's file, with its header and its name durable. On an error the file may
// remain; the next Open finds it hollow.
func createSegment(fs vfs.FS, dir string, h header) (vfs.File, error) {
	file, err := fs.Create(fs.PathJoin(dir, segmentName(h.segment)), "wal")
	if err != nil {
		return nil, err
	}
	if _, err = file.Write(appendHeader(nil, h)); err == nil {
		err = file.Sync()
	}
	if err == nil {
		err = syncDir(fs, dir)
	}
	if err != nil {
		_ = file.Close() // the first error says more
		return nil, err
	}
	return file, nil
}

// syncDir makes the names in a folder durable.
func syncDir(fs vfs.FS, dir string) error {
	file, err := fs.OpenDir(dir)
	if err != nil {
		return fmt.Errorf("open folder %s: %w", dir, err)
	}
	err = file.Sync()
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("fsync folder %s: %w", dir, err)
	}
	return nil
}

// syncFile makes a file durable that an earlier process wrote.
func syncFile(fs vfs.FS, name string) error {
	file, err := fs.OpenReadWrite(name, "wal")
	if err != nil {
		return fmt.Errorf("open %s: %w", name, err)
	}
	err = file.Sync()
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("fsync %s: %w", name, err)
	}
	return nil
}
