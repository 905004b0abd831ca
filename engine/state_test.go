package engine

import (
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"github.com/flopynet/collector/internal/keys"
)

func TestState(t *testing.T) {
	fs := newCrashableMem()
	db, err := Open("data", Options{FS: fs, MinFreeBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.ChangeState(StateChange{"pipeline", "b", []byte("2")}, StateChange{"pipeline", "a", []byte{}}, StateChange{"key", "a", []byte("k")}); err != nil {
		t.Fatal(err)
	}
	if err := db.ChangeState(StateChange{"pipeline", "b", []byte("3")}, StateChange{"key", "a", nil}); err != nil {
		t.Fatal(err)
	}
	crashed := fs.CrashClone(vfs.CrashCloneCfg{}) // what was not synced is gone
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if db, err = Open("data", Options{FS: crashed, MinFreeBytes: -1}); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	got := map[string]string{}
	if err := db.EachState("pipeline", func(name string, value []byte) error { got[name] = string(value); return nil }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"a": "", "b": "3"}, got); diff != "" {
		t.Error(diff)
	}
	if value, err := db.State("key", "a"); value != nil || err != nil {
		t.Errorf("a removed value: %q, %v", value, err)
	}
	if value, err := db.State("pipeline", "a"); value == nil || len(value) != 0 || err != nil {
		t.Errorf("an empty value: %v, %v", value, err)
	}

	if err := db.chunks.Set(keys.AppendState(nil, "pipeline", "a"), []byte("damaged"), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if _, err := db.State("pipeline", "a"); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a damaged value: %v", err)
	}
	read := func(string, []byte) error { return nil }
	if err := db.EachState("pipeline", read); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a damaged value among others: %v", err)
	}
	var passed, damaged []string
	err = db.ReadStates(StateRange{Kind: "pipeline", Damaged: func(name string, err error) {
		damaged = append(damaged, fmt.Sprint(name, errors.Is(err, ErrCorrupt)))
	}}, func(name string, _ []byte) error { passed = append(passed, name); return nil })
	if err != nil || fmt.Sprint(damaged, passed) != "[atrue] [b]" {
		t.Errorf("damaged %v, passed %v: %v", damaged, passed, err)
	}
}

// TestReadStates reads ranges of one kind among others, with names of which one begins as another ends and one that
// has the byte by which keys end a name.
func TestReadStates(t *testing.T) {
	db, err := Open("data", Options{FS: vfs.NewMem(), MinFreeBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for _, kind := range []string{"round", "roun", "roundx"} {
		for _, name := range []string{"1/1", "1/2", "1/2\x00", "1/2a", "2/1"} {
			if err := db.ChangeState(StateChange{kind, name, []byte(kind)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	stop := errors.New("enough")
	for _, row := range []struct {
		r    StateRange
		stop int
		want []string
	}{
		{r: StateRange{}, want: []string{"1/1", "1/2", "1/2\x00", "1/2a", "2/1"}},
		{r: StateRange{Newest: true}, want: []string{"2/1", "1/2a", "1/2\x00", "1/2", "1/1"}},
		{r: StateRange{From: "1/2"}, want: []string{"1/2", "1/2\x00", "1/2a", "2/1"}},
		{r: StateRange{From: "1/2", To: "1/2a"}, want: []string{"1/2", "1/2\x00"}},
		{r: StateRange{To: "2/", Newest: true, Limit: 2}, want: []string{"1/2a", "1/2\x00"}},
		{r: StateRange{From: "2/1", To: "2/1"}},
		{r: StateRange{From: "2", To: "1"}},
		{r: StateRange{From: "3"}},
		{r: StateRange{}, stop: 2, want: []string{"1/1", "1/2"}},
	} {
		row.r.Kind = "round"
		var got []string
		err := db.ReadStates(row.r, func(name string, value []byte) error {
			if string(value) != "round" {
				t.Errorf("%q has the value %q", name, value)
			}
			if got = append(got, name); len(got) == row.stop {
				return stop
			}
			return nil
		})
		if diff := cmp.Diff(row.want, got); diff != "" || (row.stop > 0) != errors.Is(err, stop) || row.stop == 0 && err != nil {
			t.Errorf("%+v: %v\n%s", row.r, err, diff)
		}
	}
	if err := db.chunks.Set(keys.AppendState(nil, "round", "1/2"), []byte("damaged"), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if err := db.ReadStates(StateRange{Kind: "round"}, func(string, []byte) error { return nil }); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a damaged value: %v", err)
	}
}
