package httpapi

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // zones for machines that have none; a system's own are preferred

	"github.com/flopynet/collector/internal/timefmt"
)

// Limits of buckets.
const (
	maxBuckets       = 100_000
	defaultMaxPoints = 500
)

const (
	day  = 24 * int64(time.Hour)
	week = 7 * day
)

// autoSteps are what granularity=auto chooses from; above them, weeks are doubled.
var autoSteps = [...]string{
	"1s", "5s", "10s", "15s", "30s", "1m", "5m", "10m", "15m", "30m", "1h", "3h", "6h", "12h", "1d", "1w",
}

// granularity is the width of buckets.
type granularity struct {
	text  string // as the answer names it
	width int64  // in nanoseconds; days and weeks are counted on the calendar
}

// parseGranularity reads a width such as 5m or 1h30m, which is not zero.
func parseGranularity(text string) (granularity, error) {
	width, err := timefmt.ParseDuration(text)
	if err != nil || width == 0 {
		issue := "it is zero"
		if failure, ok := errors.AsType[*timefmt.ParseError](err); ok {
			issue = failure.Reason
		}
		return granularity{}, invalidParameter("granularity", text, issue+"; auto chooses one that fits")
	}
	return granularity{text: text, width: int64(width)}, nil
}

// edges returns the bounds of the buckets that cover [from, to), at most maxBuckets of them.
func (g granularity) edges(from, to int64, zone *time.Location) ([]int64, error) {
	if count := (to - from) / g.width; count > maxBuckets {
		return nil, tooManyBuckets(count)
	}
	edges := bucketEdges(g.width, from, to, zone)
	if count := int64(len(edges) - 1); count > maxBuckets {
		return nil, tooManyBuckets(count)
	}
	return edges, nil
}

func tooManyBuckets(count int64) error {
	return limitExceeded("Too many buckets", "buckets", maxBuckets, count,
		"use a coarser granularity, granularity=auto, or a shorter range")
}

// autoGranularity returns the smallest of autoSteps, or else the smallest doubled number of weeks, that
// covers the range with at most maxPoints buckets, and the buckets' edges. Three buckets cover any range.
func autoGranularity(from, to int64, zone *time.Location, maxPoints int) (granularity, []int64, error) {
	try := func(text string) (granularity, []int64, error) {
		g, err := parseGranularity(text)
		if err != nil || (to-from)/g.width > int64(maxPoints) {
			return g, nil, err
		}
		edges := bucketEdges(g.width, from, to, zone)
		if len(edges)-1 > maxPoints {
			edges = nil
		}
		return g, edges, nil
	}
	for _, text := range autoSteps {
		if g, edges, err := try(text); err != nil || edges != nil {
			return g, edges, err
		}
	}
	widest := min(2*((to-from)/week+1), math.MaxInt64/week)
	for weeks := int64(2); weeks <= widest; weeks *= 2 {
		if g, edges, err := try(strconv.FormatInt(weeks, 10) + "w"); err != nil || edges != nil {
			return g, edges, err
		}
	}
	return granularity{}, nil, invalidParameter("max_points", strconv.Itoa(maxPoints),
		fmt.Sprintf("no granularity covers the range with so few buckets; leave it out for %d", defaultMaxPoints))
}

// loadZone reads the name of an IANA time zone; "" is UTC. Local is refused, since it would mean
// something else on every machine, and so are paths.
func loadZone(name string) (*time.Location, error) {
	if name == "" {
		return time.UTC, nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" || strings.Contains(name, "..") {
		return nil, invalidParameter("tz", name, "use the IANA name of a time zone, such as Europe/Berlin or UTC")
	}
	return zone, nil
}
