package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flopynet/collector/engine"
)

const day = Age(24 * time.Hour)

func TestAge(t *testing.T) {
	for _, c := range []struct {
		text string
		want Age // 0: refused
	}{
		{"1h", Age(time.Hour)},
		{"36h", Age(36 * time.Hour)},
		{"30d", 30 * day},
		{"8w", 56 * day},
		{"100000d", maxRetentionDays * day},
		{"14285w", 99_995 * day},
		{"forever", Forever},
		{"", 0},
		{"d", 0},
		{"30", 0},
		{"0", 0},
		{"0d", 0},
		{"-1d", 0},
		{"+1d", 0},
		{"1.5d", 0},
		{"1d12h", 0},
		{"30 d", 0},
		{"30D", 0},
		{"5m", 0},
		{"for ever", 0},
		{"100001d", 0},
		{"14286w", 0},
		{"99999999999999999999d", 0},
	} {
		got := Age(-1)
		err := got.UnmarshalText([]byte(c.text))
		switch {
		case c.want == 0 && (err == nil || !strings.Contains(err.Error(), "forever") || got != -1):
			t.Errorf("%q became %d, error %v", c.text, got, err)
		case c.want != 0 && (err != nil || got != c.want):
			t.Errorf("%q is %d, want %d; error %v", c.text, got, c.want, err)
		}
	}
}

func TestRetentionPolicy(t *testing.T) {
	settings := Config{Storage: Storage{
		RetentionDays: 1, Retention5m: 2 * day, Retention1h: Forever,
		RetentionRules: []RetentionRule{{Match: "a", Source: "b", Raw: 4 * day, FiveMinutes: 5 * day, Hour: 6 * day}, {Match: "*"}},
	}}
	const engineDay = 24 * time.Hour
	want := engine.RetentionPolicy{
		Default: engine.Retention{Raw: engineDay, FiveMinutes: 2 * engineDay, Hour: engine.KeepForever},
		Rules: []engine.RetentionRule{
			{Match: "a", Source: "b", Retention: engine.Retention{Raw: 4 * engineDay, FiveMinutes: 5 * engineDay, Hour: 6 * engineDay}},
			{Match: "*"},
		},
	}
	if diff := cmp.Diff(want, settings.RetentionPolicy()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestLongestRetentionFitsADuration(t *testing.T) {
	settings := Config{Storage: Storage{RetentionDays: maxRetentionDays}}
	if got := settings.Retention(); got/(24*time.Hour) != maxRetentionDays {
		t.Errorf("%d days became %v", maxRetentionDays, got)
	}
}
