package lineproto

import (
	"sync"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/internal/rawcache"
	"github.com/flopynet/collector/model"
)

// Cache finds the series of a line from its raw bytes. It is safe for concurrent use.
type Cache struct {
	lines   *rawcache.Cache[entry]
	layouts layouts
}

// NewCache returns an empty cache within the bounds.
func NewCache(options rawcache.Options) *Cache {
	return &Cache{lines: rawcache.New[entry](options), layouts: layouts{byText: make(map[string][]string)}}
}

// Bounds of what is cached.
const (
	maxKeyBytes    = 4 << 10 // of the raw measurement and tags
	maxEntryFields = 256

	// entryOverhead is what an entry takes beside its texts and its fields.
	entryOverhead = 160

	// maxLayoutBytes bounds what all shared layouts take.
	maxLayoutBytes = 1 << 20
)

// entry is what is known of lines with the same measurement and tags, as they were written.
type entry struct {
	key    string // raw, with the space behind it
	source string

	names []string         // raw field keys, each with the = behind it; often shared with other entries
	ids   []model.SeriesID // of the fields

	class   *engine.RetentionClass   // of all of the series; nil: they differ
	classes []*engine.RetentionClass // of the series, if they differ
}

func (e *entry) classOf(field int) *engine.RetentionClass {
	if e.class != nil {
		return e.class
	}
	return e.classes[field]
}

// size is what the entry takes in bytes, without the names if these are shared.
func (e *entry) size(shared bool) int64 {
	size := entryOverhead + len(e.key) + len(e.source) + 8*len(e.ids) + 8*len(e.classes)
	if !shared {
		size += layoutBytes(e.names)
	}
	return int64(size)
}

// find returns the place of a raw field key, looking from the guessed one on; -1 if it is not known.
func (e *entry) find(raw []byte, guess int) int {
	for i := guess; i < len(e.names); i++ {
		if e.names[i] == string(raw) {
			return i
		}
	}
	for i := range min(guess, len(e.names)) {
		if e.names[i] == string(raw) {
			return i
		}
	}
	return -1
}

// layouts holds lists of field keys, since the lines of a measurement mostly have the same ones.
type layouts struct {
	mu     sync.Mutex
	byText map[string][]string // by the raw keys in a row, each of which ends in its =
	bytes  int
}

// share returns the list of keys that is given as all of them in a row, and where each ends: the one copy, as long as
// there is room for it.
func (l *layouts) share(keys []byte, ends []int) (names []string, shared bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if known, ok := l.byText[string(keys)]; ok {
		return known, true
	}
	text, start := string(keys), 0
	for _, end := range ends {
		names = append(names, text[start:end])
		start = end
	}
	if size := layoutBytes(names); l.bytes+size <= maxLayoutBytes {
		l.bytes += size
		l.byText[text] = names
		shared = true
	}
	return names, shared
}

func layoutBytes(names []string) int {
	size := 16 * len(names)
	for _, name := range names {
		size += len(name)
	}
	return size
}
