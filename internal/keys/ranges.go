package keys

import (
	"bytes"

	"github.com/flopynet/collector/model"
)

// The Append...Prefix functions append what the keys of a group have in common; Range gives their bounds.

// AppendPartitionPrefix appends what a partition's keys with this first byte begin with. It is for the
// prefixes that are followed by a tier and a partition: PrefixPartition, PrefixPosting, PrefixDirty,
// PrefixChunk and PrefixSketch.
func AppendPartitionPrefix(dst []byte, prefix byte, tier model.Tier, partition model.Partition) []byte {
	return appendInt64(append(dst, prefix, byte(tier)), int64(partition))
}

// AppendMetricPrefix appends what the keys of a metric's chunks in a partition begin with.
func AppendMetricPrefix(dst []byte, tier model.Tier, partition model.Partition, nameID uint64) []byte {
	return appendUint64(AppendPartitionPrefix(dst, PrefixChunk, tier, partition), nameID)
}

// AppendSeriesPrefix appends what the keys of a series' chunks in a partition begin with.
func AppendSeriesPrefix(dst []byte, tier model.Tier, partition model.Partition, nameID uint64, id model.SeriesID) []byte {
	return appendUint64(AppendMetricPrefix(dst, tier, partition, nameID), uint64(id))
}

// AppendTagKeyPrefix appends what the postings of a tag key, with any value, begin with.
func AppendTagKeyPrefix(dst []byte, tier model.Tier, partition model.Partition, key string) []byte {
	return appendString(AppendPartitionPrefix(dst, PrefixPosting, tier, partition), key)
}

// AppendTagPrefix appends what the pieces of one tag's postings begin with.
func AppendTagPrefix(dst []byte, tier model.Tier, partition model.Partition, key, value string) []byte {
	return appendString(AppendTagKeyPrefix(dst, tier, partition, key), value)
}

// AppendHeadImagePrefix appends what the parts of a checkpoint's head image begin with.
func AppendHeadImagePrefix(dst []byte, checkpoint uint64) []byte {
	return appendUint64(append(dst, PrefixHeadImage), checkpoint)
}

// AppendStatePrefix appends what the keys of a kind of small state begin with.
func AppendStatePrefix(dst []byte, kind string) []byte {
	return appendString(append(dst, PrefixState), kind)
}

// Range returns the bounds [lower, upper) of the keys that begin with prefix. lower is prefix itself.
func Range(prefix []byte) (lower, upper []byte) { return prefix, PrefixEnd(prefix) }

// PrefixEnd returns the smallest key above all that begin with prefix, in memory of its own, or nil if
// there is none because prefix has only bytes of 0xff.
func PrefixEnd(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] != 0xff {
			end[i]++
			return end[:i+1]
		}
	}
	return nil
}

// PartitionRange returns the bounds of a partition's keys with this first byte; see
// AppendPartitionPrefix.
func PartitionRange(prefix byte, tier model.Tier, partition model.Partition) (lower, upper []byte) {
	return Range(AppendPartitionPrefix(nil, prefix, tier, partition))
}

// MetricRange returns the bounds of a metric's chunks in a partition.
func MetricRange(tier model.Tier, partition model.Partition, nameID uint64) (lower, upper []byte) {
	return Range(AppendMetricPrefix(nil, tier, partition, nameID))
}

// SketchRange returns the bounds of a metric's sketches in a partition.
func SketchRange(tier model.Tier, partition model.Partition, nameID uint64) (lower, upper []byte) {
	prefix := AppendMetricPrefix(nil, tier, partition, nameID)
	prefix[0] = PrefixSketch
	return Range(prefix)
}

// SeriesRange returns the bounds of a series' chunks in a partition.
func SeriesRange(tier model.Tier, partition model.Partition, nameID uint64, id model.SeriesID) (lower, upper []byte) {
	return Range(AppendSeriesPrefix(nil, tier, partition, nameID, id))
}
