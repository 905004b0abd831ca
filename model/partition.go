package model

import "time"

// Tier is a resolution at which data is kept. Tiers above TierRaw come with rollups.
type Tier uint8

// TierRaw holds the samples as they were written.
const TierRaw Tier = 0

// Partition numbers a span of time of a tier, counted from the Unix epoch. A partition is the unit of
// retention and of the index.
type Partition int64

// PartitionWidth returns the length of a tier's partitions in nanoseconds: a UTC day for raw samples.
func (t Tier) PartitionWidth() int64 { return int64(24 * time.Hour) }

// PartitionOf returns the partition of the tier that holds the time, which must not be negative.
func (t Tier) PartitionOf(ns int64) Partition { return Partition(ns / t.PartitionWidth()) }

// Bounds returns the partition's range [from, to) in nanoseconds since the epoch.
func (t Tier) Bounds(p Partition) (from, to int64) {
	from = int64(p) * t.PartitionWidth()
	return from, from + t.PartitionWidth()
}
