package index

import (
	"maps"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/cockroachdb/pebble/v2"

	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/model"
)

// allKey and allValue stand for "every series of the partition". Names and tag values are never empty.
const (
	allKey   = ""
	allValue = ""
)

// PostingsBuilder gathers the postings of many series, so that each tag is merged once and not once per
// series. The zero builder is empty.
type PostingsBuilder struct {
	byKey map[string]map[string]*posting // tag key, then value
}

// Add gathers the postings of a series. The strings of s are kept.
func (p *PostingsBuilder) Add(s model.Series) {
	if p.byKey == nil {
		p.byKey = make(map[string]map[string]*posting)
	}
	p.addTag(allKey, allValue, s.ID)
	p.addTag(model.NameKey, s.Name, s.ID)
	for _, tag := range s.Tags {
		p.addTag(tag.Key, tag.Value, s.ID)
	}
}

func (p *PostingsBuilder) addTag(key, value string, id model.SeriesID) {
	values := p.byKey[key]
	if values == nil {
		values = make(map[string]*posting)
		p.byKey[key] = values
	}
	series := values[value]
	if series == nil {
		series = new(posting)
		values[value] = series
	}
	series.add(id)
}

// Write merges the postings into those of a partition, in the order of their keys. It may be called for
// several partitions, and again for the same one, which changes nothing.
func (p *PostingsBuilder) Write(b *pebble.Batch, tier model.Tier, partition model.Partition) error {
	scratch := roaring.New()
	var key, value []byte
	for _, tagKey := range slices.Sorted(maps.Keys(p.byKey)) {
		values := p.byKey[tagKey]
		for _, tagValue := range slices.Sorted(maps.Keys(values)) {
			err := values[tagValue].eachPiece(scratch, func(number uint64, bitmap *roaring.Bitmap) error {
				key = keys.AppendPosting(key[:0], keys.Posting{
					Tier: tier, Partition: partition, Key: tagKey, Value: tagValue, Piece: number,
				})
				value = appendBitmap(append(value[:0], kindBitmap), bitmap)
				return b.Merge(key, value, nil)
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}
