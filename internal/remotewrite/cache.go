package remotewrite

import (
	"strings"
	"sync"
	"sync/atomic"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/internal/rawcache"
	"github.com/flopynet/collector/model"
)

// Cache finds a series from the bytes of its labels, and knows the units of metric families. It is safe for
// concurrent use.
type Cache struct {
	series   *rawcache.Cache[entry]
	families families
}

// NewCache returns an empty cache within the bounds.
func NewCache(options rawcache.Options) *Cache {
	if options.MaxEntries == 0 {
		options.MaxEntries = 512 << 10 // of hosts with ten metrics, 250,000 series fit: TestHostsFit
	}
	return &Cache{series: rawcache.New[entry](options), families: families{units: make(map[string]string)}}
}

const (
	// maxEntryBytes is the length of labels above which a series is not cached.
	maxEntryBytes = 4 << 10

	// entryOverhead is what an entry takes beside its texts: a node and a slot with its guess.
	entryOverhead = 64 + 16

	// textOverhead is what a text takes beside its bytes.
	textOverhead = 16

	// An entry counts only a small part of a text that it has from another. So if of many that share one text a few
	// alone are left, the cache takes up to three times what it counts where that text has 200 bytes, and up to seven times
	// with the longest.
	sharedPart = 8
)

// entry is a series as it was written: its labels as in a message of version 1, in two parts. The first is the first
// label, which is the name of the metric as a rule; the second, all others, is mostly that of the series before. Texts
// are pointers so that a node takes one line of a processor's cache.
type entry struct {
	first, others *string
	unit          *string // that the engine is known to have; nil: none is
	class         *engine.RetentionClass
	id            model.SeriesID
	families      uint32 // the generation of the families in which the unit was looked for

	// Another entry counts the bytes of the text.
	firstShared, othersShared bool
}

func (e *entry) size() int64 {
	return int64(entryOverhead + textSize(e.first, e.firstShared) + textSize(e.others, e.othersShared) + len(e.unitText()))
}

func textSize(text *string, shared bool) int {
	if shared {
		return (textOverhead + len(*text)) / sharedPart
	}
	return textOverhead + len(*text)
}

func (e *entry) length() int { return len(*e.first) + len(*e.others) }

// unitText is the unit that the engine is known to have, "" if none is.
func (e *entry) unitText() string {
	if e.unit == nil {
		return ""
	}
	return *e.unit
}

// isOf reports whether an entry has these labels.
func (e *entry) isOf(labels []byte) bool {
	first, others := *e.first, *e.others
	return len(labels) == len(first)+len(others) && string(labels[:len(first)]) == first && string(labels[len(first):]) == others
}

// firstLabel returns the length of the first of the labels, which are well-formed.
func firstLabel(labels []byte) int {
	_, rest, _ := cutField(labels)
	return len(labels) - len(rest)
}

// Bounds of what is kept of metric families.
const (
	maxFamilies    = 10_000
	maxFamilyBytes = 1 << 20
)

// families holds the units that messages of version 1 gave to metric families.
type families struct {
	generation atomic.Uint32 // changes when a unit does

	mu    sync.RWMutex
	units map[string]string
	bytes int // of names and units
}

// set notes a family's unit, as long as there is room for it.
func (f *families) set(family, unit string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	old, known := f.units[family]
	if old == unit {
		return
	}
	size := len(family) + len(unit)
	if known {
		size = len(unit) - len(old)
	}
	if !known && len(f.units) >= maxFamilies || f.bytes+size > maxFamilyBytes {
		return
	}
	f.bytes += size
	f.units[strings.Clone(family)] = unit
	f.generation.Add(1)
}

// unitOf returns the unit of the samples of a metric, "" if none is known. Buckets and counts of a family have none.
func (f *families) unitOf(metric string) string {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if unit := f.units[metric]; unit != "" {
		return unit
	}
	for _, suffix := range [...]string{"_total", "_sum"} {
		if family, ok := strings.CutSuffix(metric, suffix); ok {
			return f.units[family]
		}
	}
	return ""
}
