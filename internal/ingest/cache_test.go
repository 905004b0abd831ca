package ingest

import (
	"fmt"
	"testing"

	"github.com/flopynet/collector/engine"
)

// checkHeld compares what a table counts with what it holds.
func checkHeld(t *testing.T, table *table) {
	t.Helper()
	entries := int64(0)
	users := map[*text]int64{}
	for i := range table.slots {
		if e := table.slots[i].Load(); e != nil {
			entries += e.size()
			users[e.name]++
			users[e.source]++
			users[e.tags]++
		}
	}
	texts := int64(0)
	for text, count := range users {
		texts += text.size()
		if got := text.users.Load(); got != count {
			t.Errorf("text %q counts %d users and has %d", text.value, got, count)
		}
	}
	if entries != table.bytes.Load() || texts != table.texts.bytes.Load() {
		t.Errorf("the cache counts %d bytes of entries and %d of texts, and holds %d and %d",
			table.bytes.Load(), table.texts.bytes.Load(), entries, texts)
	}
	for i := range table.texts.slots {
		if text := table.texts.slots[i].Load(); text != nil && users[text] == 0 {
			t.Errorf("text %q is kept for nobody", text.value)
		}
	}
}

// TestMoreSeriesThanFit writes more series than the cache takes, in turn: most of those that are in it stay there.
func TestMoreSeriesThanFit(t *testing.T) {
	for name, options := range map[string]CacheOptions{
		"entries": {MaxEntries: 512},
		"bytes":   {MaxBytes: 64 << 10},
	} {
		cache := NewCache(options)
		d := NewDecoder(cache, hashResolver{})
		var batch engine.Batch
		found := func() (found int) {
			for host := range 100 {
				for _, metric := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"} {
					body := fmt.Sprintf(`[{"name":"%s","value":1,"tags":{"host":"%d","padding":"%064d"}}]`, metric, host, host)
					tags := body[len(`[{"name":"a","value":1,"tags":`) : len(body)-len(`}]`)]
					text := rawSeries{name: []byte(`"` + metric + `"`), tags: []byte(tags)}
					text.nameHash, text.sourceHash, text.tagsHash = hashText(text.name), hashText(nil), hashText(text.tags)
					if e, _ := cache.at(0).find(&text); e != nil {
						found++
					}
					if _, err := d.Decode([]byte(body), Metrics, testNow, &batch); err != nil {
						t.Fatal(err)
					}
				}
			}
			return found
		}
		if found() != 0 {
			t.Errorf("%s: series are found that were never written", name)
		}
		for range 3 {
			if got := found(); got < 200 {
				t.Errorf("%s: %d of 1,000 series are found", name, got)
			}
		}
		checkHeld(t, cache.at(0))
	}
}

// TestSharedTexts holds that the series of a host have one copy of its tags.
func TestSharedTexts(t *testing.T) {
	d := newTestDecoder()
	var batch engine.Batch
	if _, err := d.Decode(json1Body(0, twoDecimals), Metrics, testNow, &batch); err != nil {
		t.Fatal(err)
	}
	table := d.cache.at(0)
	checkHeld(t, table)
	if got := table.held() / 500; got < entryBytes || got > 2*entryBytes {
		t.Errorf("a series takes %d bytes", got)
	}
}
