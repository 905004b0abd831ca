package model

import (
	"fmt"
	"time"
)

// Tier is a resolution at which data is kept.
type Tier uint8

// TierRaw holds the samples as they were written; the others hold one point for each span of five
// minutes, or of an hour, that has samples.
const (
	TierRaw Tier = 0
	Tier5m  Tier = 1
	Tier1h  Tier = 2
)

// Tiers is the number of tiers.
const Tiers = 3

const (
	minute = int64(time.Minute)
	day    = 24 * int64(time.Hour)
)

// Width returns the length of the tier's buckets in nanoseconds; raw samples have none.
func (t Tier) Width() int64 {
	switch t {
	case Tier5m:
		return 5 * minute
	case Tier1h:
		return 60 * minute
	default:
		return 0
	}
}

func (t Tier) String() string {
	switch t {
	case TierRaw:
		return "raw"
	case Tier5m:
		return "5m"
	case Tier1h:
		return "1h"
	default:
		return fmt.Sprintf("tier %d", uint8(t))
	}
}

// Partition numbers a span of time of a tier, counted from the Unix epoch. A partition is the unit of
// retention and of the index.
type Partition int64

// PartitionWidth returns the length of a tier's partitions in nanoseconds: a UTC day for raw samples, 8
// days for points of five minutes, 64 for those of an hour.
func (t Tier) PartitionWidth() int64 {
	switch t {
	case Tier5m:
		return 8 * day
	case Tier1h:
		return 64 * day
	default:
		return day
	}
}

// PartitionOf returns the partition of the tier that holds the time, which must not be negative.
func (t Tier) PartitionOf(ns int64) Partition { return Partition(ns / t.PartitionWidth()) }

// Bounds returns the partition's range [from, to) in nanoseconds since the epoch.
func (t Tier) Bounds(p Partition) (from, to int64) {
	from = int64(p) * t.PartitionWidth()
	return from, from + t.PartitionWidth()
}
