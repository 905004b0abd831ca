package index

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/model"
)

// Select returns the series that satisfy all matchers and have a posting in the partition.
func Select(r pebble.Reader, tier model.Tier, partition model.Partition, matchers []*model.Matcher) (set *Set, err error) {
	p, err := openPartition(r, tier, partition)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.it.Close()) }()
	return evaluate(p, matchers)
}

// PartitionSeries returns all series that have a posting in the partition.
func PartitionSeries(r pebble.Reader, tier model.Tier, partition model.Partition) (*Set, error) {
	return Select(r, tier, partition, nil)
}

// partitionPostings reads the postings of a partition with one iterator.
type partitionPostings struct {
	it        *pebble.Iterator
	tier      model.Tier
	partition model.Partition
	seek      []byte // reused
}

func openPartition(r pebble.Reader, tier model.Tier, partition model.Partition) (*partitionPostings, error) {
	lower, upper := keys.PartitionRange(keys.PrefixPosting, tier, partition)
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return nil, fmt.Errorf("postings of partition %d: %w", partition, err)
	}
	return &partitionPostings{it: it, tier: tier, partition: partition}, nil
}

func (p *partitionPostings) all() (*Set, error) {
	set := new(Set)
	return set, p.addTag(set, allKey, allValue)
}

func (p *partitionPostings) addTag(dst *Set, key, value string) error {
	p.seek = keys.AppendTagKeyPrefix(p.seek[:0], p.tier, p.partition, key)
	keyLen := len(p.seek)
	p.seek = keys.AppendTagPrefix(p.seek[:0], p.tier, p.partition, key, value)
	return p.scan(dst, keyLen, func(string) bool { return true })
}

func (p *partitionPostings) addValues(dst *Set, key string, want func(value string) bool) error {
	p.seek = keys.AppendTagKeyPrefix(p.seek[:0], p.tier, p.partition, key)
	return p.scan(dst, len(p.seek), want)
}

// scan adds the postings under the prefix p.seek whose value is wanted to dst. The first keyLen bytes of
// the prefix are those up to the tag key.
func (p *partitionPostings) scan(dst *Set, keyLen int, want func(value string) bool) error {
	for p.it.SeekGE(p.seek); p.it.Valid() && bytes.HasPrefix(p.it.Key(), p.seek); p.it.Next() {
		tagValue, number, err := keys.ParsePostingTail(p.it.Key()[keyLen:])
		if err != nil {
			return fmt.Errorf("%w: partition %d: %w", ErrCorrupt, p.partition, err)
		}
		if !want(tagValue) {
			continue
		}
		value, err := p.it.ValueAndErr()
		if err != nil {
			return fmt.Errorf("postings of partition %d: %w", p.partition, err)
		}
		bitmap, err := decodeBitmap(p.it.Key(), value)
		if err != nil {
			return err
		}
		dst.addPiece(number, bitmap)
	}
	if err := p.it.Error(); err != nil {
		return fmt.Errorf("postings of partition %d: %w", p.partition, err)
	}
	return nil
}
