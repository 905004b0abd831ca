package engine

import (
	"errors"
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
}
