package engine

import (
	"cmp"
	"slices"

	"github.com/flopynet/collector/model"
)

// unitOf returns the unit of the first series that has one.
func (db *DB) unitOf(ids []model.SeriesID) (string, error) {
	for _, id := range ids[:min(len(ids), 16)] {
		series, err := db.describe([]model.SeriesID{id})
		if err != nil {
			return "", err
		}
		if series[0].Unit != "" {
			return series[0].Unit, nil
		}
	}
	return "", nil
}

// group sorts series into groups. It returns the groups' tags in the order of the answer and, for each
// series, the number of its group.
func (db *DB) group(r *AggregateRequest, ids []model.SeriesID) ([]model.Tags, []int, error) {
	groupOf := make([]int, len(ids))
	if !r.GroupAll && len(r.GroupBy) == 0 {
		return []model.Tags{nil}, groupOf, nil
	}
	series, err := db.describe(ids)
	if err != nil {
		return nil, nil, err
	}
	numbers := make(map[string]int)
	var groups []model.Tags
	keys := slices.Compact(slices.Sorted(slices.Values(r.GroupBy)))
	room := make(model.Tags, len(keys))
	var identity []byte
	for i, s := range series {
		tags := s.Tags
		if !r.GroupAll {
			tags = room
			for j, key := range keys {
				tags[j] = model.Tag{Key: key, Value: s.Tags.Get(key)}
			}
		}
		identity = model.AppendIdentity(identity[:0], "", tags)
		number, known := numbers[string(identity)]
		if !known {
			number = len(groups)
			numbers[string(identity)] = number
			groups = append(groups, slices.Clone(tags))
		}
		groupOf[i] = number
	}
	sortGroups(groups, groupOf)
	return groups, groupOf, nil
}

// sortGroups orders groups by their tags' values, so that answers don't depend on ids.
func sortGroups(groups []model.Tags, groupOf []int) {
	order := make([]int, len(groups))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return slices.CompareFunc(groups[a], groups[b], func(x, y model.Tag) int {
			return cmp.Or(cmp.Compare(x.Key, y.Key), cmp.Compare(x.Value, y.Value))
		})
	})
	place := make([]int, len(groups))
	sorted := make([]model.Tags, len(groups))
	for to, from := range order {
		place[from] = to
		sorted[to] = groups[from]
	}
	copy(groups, sorted)
	for i := range groupOf {
		groupOf[i] = place[groupOf[i]]
	}
}
