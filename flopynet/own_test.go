package flopynet

import (
	"log/slog"
	"testing"
	"time"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// TestStartOwn stores figures of the collector itself, again and again, and makes no series but theirs.
func TestStartOwn(t *testing.T) {
	db := openEngine(t, engine.Options{})
	stored := make(chan int, 100)
	value := 0.0
	own := StartOwn(db, SystemOptions{
		Interval: time.Millisecond, Host: "lab-1", Logger: slog.New(slog.DiscardHandler), Stored: func(_ time.Time, samples int) { stored <- samples },
	}, func() ([]Figure, error) {
		value++
		tags := model.Tags{{Key: "method", Value: "GET"}, {Key: "route", Value: "/metrics/query"}}
		return []Figure{{Name: "requests_total", Value: value, Tags: tags}, {Name: "wal_size_bytes", Unit: "bytes", Value: 7}}, nil
	})
	for range 3 {
		select {
		case samples := <-stored:
			if samples != 2 {
				t.Errorf("%d samples were stored", samples)
			}
		case <-time.After(30 * time.Second):
			t.Fatal("nothing was stored")
		}
	}
	own.Close()
	for name, want := range map[string]string{
		"requests_total": "host=lab-1 method=GET route=/metrics/query source=collector", "wal_size_bytes": "host=lab-1 source=collector",
	} {
		series, err := db.Select(t.Context(), engine.Selection{Matchers: []*model.Matcher{model.EqualMatcher(model.NameKey, name)}, To: model.MaxTime})
		if err != nil || len(series) != 1 {
			t.Fatal(series, err)
		}
		text := ""
		for _, tag := range series[0].Tags {
			text += " " + tag.Key + "=" + tag.Value
		}
		if text != " "+want {
			t.Errorf("%s has the tags%s", name, text)
		}
	}
	if got := db.Stats().Series; got != 2 {
		t.Errorf("%d series", got)
	}
}
