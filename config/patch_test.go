package config

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestEverySettingSaysWhatTheAPIMayDo: a setting without the tag api would be one that nobody has thought about.
func TestEverySettingSaysWhatTheAPIMayDo(t *testing.T) {
	c := Default()
	eachSetting(reflect.ValueOf(c), "", func(s setting) {
		if !slices.Contains([]string{apiLive, apiRestart, apiFixed, apiSecret}, s.api) {
			t.Errorf("%s has the tag api:%q", s.key, s.api)
		}
	})
}

func TestJSONIsThePatchOfItself(t *testing.T) {
	full := Default()
	full.Storage.RetentionDays, full.Storage.Retention5m, full.Storage.Retention1h = 3, 4*day, Forever
	full.Storage.RetentionRules = []RetentionRule{{Match: "a*", Source: "b", Raw: 5 * Age(time.Hour), Hour: 9 * day}}
	full.Alerting.Thresholds = Thresholds{QueueSize: new(int64(8000)), IngestionRate: new(0.5)}
	full.WAL.SyncInterval, full.Processing.FlushInterval = 1500*time.Millisecond, 90*time.Minute
	for _, want := range []Config{Default(), full} {
		got := Default()
		got.Listen, got.DataDir = want.Listen, want.DataDir
		if err := got.Patch(want.JSON()); err != nil {
			t.Fatalf("%v in %s", err, want.JSON())
		}
		if diff := cmp.Diff(want.JSON(), got.JSON()); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
	var shown map[string]any
	if err := json.Unmarshal(full.JSON(), &shown); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"enabled": true, "thresholds": map[string]any{"queue_size": 8000.0, "ingestion_rate": 0.5}}
	if diff := cmp.Diff(want, shown["alerting"]); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := shown["processing"].(map[string]any)["flush_interval"]; got != "1h30m" {
		t.Errorf("flush_interval is shown as %v", got)
	}
}

// TestSecretsAreNotShown uses a section of its own, whatever settings there are.
func TestSecretsAreNotShown(t *testing.T) {
	section := struct {
		Name   string `yaml:"name" api:"live"`
		Secret string `yaml:"secret" api:"secret"`
	}{"a", "b"}
	if got := string(marshal(object(reflect.ValueOf(section)))); got != `{"name":"a"}` {
		t.Errorf("shown as %s", got)
	}
	err := patchSection([]byte(`{"secret":"b"}`), "", reflect.ValueOf(&section).Elem())
	if fault, ok := errors.AsType[*PatchError](err); !ok || !fault.Fixed {
		t.Errorf("setting a secret: %v", err)
	}
}

func TestPatchRefuses(t *testing.T) {
	cases := []struct {
		patch string
		want  PatchError
	}{
		{`[]`, PatchError{Key: "", Given: "[]", Issue: "it must be an object"}},
		{`{"storage":5}`, PatchError{Key: "storage", Given: "5", Issue: "it must be an object"}},
		{`{"storage":null}`, PatchError{Key: "storage", Given: "null", Issue: "it must be an object"}},
		{`{"storage":{"retention_days":"5"}}`, PatchError{Key: "storage.retention_days", Given: `"5"`, Issue: "it must be a whole number"}},
		{`{"storage":{"retention_days":5.5}}`, PatchError{Key: "storage.retention_days", Given: `5.5`, Issue: "it must be a whole number"}},
		{`{"storage":{"retention_days":1e99}}`, PatchError{Key: "storage.retention_days", Given: `1e99`, Issue: "it must be a whole number"}},
		{`{"storage":{"retention_days":null}}`, PatchError{Key: "storage.retention_days", Given: `null`, Issue: "it must be a whole number"}},
		{`{"storage":{"retention_days":1,"retention_days":1}}`, PatchError{Key: "storage.retention_days", Given: `1`, Issue: "it is given twice"}},
		{`{"storage":{"compression_enabled":"true"}}`, PatchError{Key: "storage.compression_enabled", Given: `"true"`, Issue: "it must be true or false"}},
		{`{"processing":{"flush_interval":5}}`, PatchError{Key: "processing.flush_interval", Given: `5`, Issue: "it must be a duration such as 100ms, 5s or 10m"}},
		{`{"processing":{"flush_interval":"5"}}`, PatchError{Key: "processing.flush_interval", Given: `"5"`, Issue: "it must be a duration such as 100ms, 5s or 10m"}},
		{`{"log":{"level":3}}`, PatchError{Key: "log.level", Given: `3`, Issue: "it must be a text"}},
		{`{"alerting":{"thresholds":{"queue_size":"many"}}}`, PatchError{Key: "alerting.thresholds.queue_size", Given: `"many"`, Issue: "it must be a whole number"}},
		{`{"storage":{"retention_rules":{}}}`, PatchError{Key: "storage.retention_rules", Given: `{}`, Issue: "it must be an array of objects"}},
		{`{"storage":{"retention_rules":[{"match":"a"},{"metric":"b"}]}}`, PatchError{Key: "storage.retention_rules[1].metric", Given: `"b"`, Known: []string{"match", "source", "raw", "5m", "1h"}}},
		{`{"storage":{"retention_dys":1}}`, PatchError{Key: "storage.retention_dys", Given: "1", Known: keysOf(reflect.ValueOf(Storage{}))}},
		{`{"Storage":{}}`, PatchError{Key: "Storage", Given: "{}", Known: keysOf(reflect.ValueOf(Config{}))}},
		{`{"listen":["127.0.0.1:9"]}`, PatchError{Key: "listen", Given: `["127.0.0.1:9"]`, Fixed: true}},
		{`{"data_dir":"/"}`, PatchError{Key: "data_dir", Given: `"/"`, Fixed: true}},
		{`{"listen":"127.0.0.1:9"}`, PatchError{Key: "listen", Given: `"127.0.0.1:9"`, Issue: "it must be a list of texts"}},
	}
	for _, c := range cases {
		t.Run(c.patch, func(t *testing.T) {
			settings := Default()
			err := settings.Patch([]byte(c.patch))
			got, ok := errors.AsType[*PatchError](err)
			if !ok {
				t.Fatalf("error %v", err)
			}
			if diff := cmp.Diff(c.want, *got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if got.Error() == "" {
				t.Error("it has no text")
			}
		})
	}
	settings := Default()
	err := settings.Patch([]byte(`{"storage":{"retention_5m":"5m"}}`))
	if err == nil || !strings.Contains(err.Error(), `valid are a whole number of hours`) {
		t.Errorf("error %v", err)
	}
}

func TestPatchMerges(t *testing.T) {
	got := Default()
	got.Alerting.Thresholds.QueueSize, got.Storage.Retention5m = new(int64(1)), 2*day
	before := got
	if err := got.Patch([]byte(`{"storage": {"retention_5m": null, "retention_1h": "9d"}, "log": {"level": "\u0064ebug"},
		"alerting": {"thresholds": {"queue_size": null, "ingestion_rate": 5000}}, "listen": ["127.0.0.1:8000"], "wal": {}}`)); err != nil {
		t.Fatal(err)
	}
	want := before
	want.Storage.Retention5m, want.Storage.Retention1h, want.Log.Level = 0, 9*day, "debug"
	want.Alerting.Thresholds = Thresholds{IngestionRate: new(5000.0)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if *before.Alerting.Thresholds.QueueSize != 1 {
		t.Error("the settings before have changed, too")
	}
}

// FuzzPatch: whatever JSON comes, nothing panics, and what is taken and valid is shown as it was taken.
func FuzzPatch(f *testing.F) {
	f.Add(`{"storage":{"retention_days":60,"retention_rules":[{"match":"a","raw":"2d"}]},"processing":{"worker_threads":8}}`)
	f.Add(`{"alerting":{"thresholds":{"queue_size":null,"ingestion_rate":1e3}},"log":{"level":"&a *b"}}`)
	f.Fuzz(func(t *testing.T, text string) {
		settings := Default()
		if !json.Valid([]byte(text)) || settings.Patch([]byte(strings.TrimSpace(text))) != nil || settings.Validate() != nil {
			return
		}
		again := Default()
		if err := again.Patch(settings.JSON()); err != nil {
			t.Fatalf("%v in %s", err, settings.JSON())
		}
		if diff := cmp.Diff(string(settings.JSON()), string(again.JSON())); diff != "" {
			t.Errorf("-taken +shown:\n%s", diff)
		}
	})
}
