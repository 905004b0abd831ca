package export

import "github.com/flopynet/collector/model"

// column is a column of text: for the metric, with the key model.NameKey, for the source, or for a tag.
type column struct{ key, name string }

// of returns the text of a series in the column; "" is none.
func (c column) of(s *model.Series) string {
	if c.key == model.NameKey {
		return s.Name
	}
	return s.Tags.Get(c.key)
}

// texts are the columns of text, in their order.
func (p *Plan) texts() []column {
	var all []column
	if p.metric {
		all = append(all, column{model.NameKey, columnMetric})
	}
	if p.source {
		all = append(all, column{model.SourceKey, model.SourceKey})
	}
	return append(all, p.tags...)
}

// A dictionary of at most maxSmall texts has numbers of a byte. A column has such dictionaries if it has had at
// most maxFew texts when the plan was made: readers that join dictionaries, as pandas makes them do, keep the
// size of the numbers, and fail when they don't suffice.
const (
	maxSmall = 128
	maxFew   = 100
)

// textCount counts the different texts of columns, by their keys, as long as they are few.
type textCount map[string]map[string]struct{}

func (t textCount) note(key, text string) {
	seen := t[key]
	if seen == nil {
		seen = map[string]struct{}{}
		t[key] = seen
	}
	if len(seen) <= maxFew {
		seen[text] = struct{}{}
	}
}

func (t textCount) few(key string) bool { return len(t[key]) <= maxFew }
