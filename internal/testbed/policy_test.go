package testbed

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

type decisionRowAnswer struct {
	ID        string         `json:"id"`
	PolicyID  string         `json:"policy_id"`
	Name      string         `json:"policy_name"`
	Component string         `json:"component"`
	Timestamp float64        `json:"timestamp"`
	Context   map[string]any `json:"context"`
	Decision  string         `json:"decision"`
	Result    bool           `json:"result"`
	Reason    string         `json:"reason"`
	Action    string         `json:"action_taken"`
	Execution float64        `json:"execution_time"`
	Request   string         `json:"request_id"`
}

// TestDecisions: a bare array, the newest first, 100 unless asked for more, both bounds included.
func TestDecisions(t *testing.T) {
	bed, clock := open(t, Options{Seed: 1})
	clock.advance(10 * time.Minute)
	truth := bed.Decisions()
	url := bed.Policy.URL() + "/api/v1/policy_decisions"
	if n := len(getJSON[[]any](t, url)); n != 100 {
		t.Errorf("without a limit: %d", n)
	}
	all := getJSON[[]decisionRowAnswer](t, url+"?limit=1000")
	if len(all) != len(truth) || len(all) < 500 {
		t.Fatalf("%d decisions, want %d", len(all), len(truth))
	}
	ids := map[string]bool{}
	for i, d := range all {
		want := truth[len(truth)-1-i]
		if i > 0 && d.Timestamp > all[i-1].Timestamp {
			t.Errorf("decision %d is newer than the one before", i)
		}
		if ids[d.ID] {
			t.Errorf("%s is there twice", d.ID)
		}
		ids[d.ID] = true
		if d.Timestamp == all[max(0, i-1)].Timestamp || i+1 < len(all) && d.Timestamp == all[i+1].Timestamp {
			continue // the order of those of one time is that of the engine's, not its reverse
		}
		if d.ID != want.ID || d.Result != want.Allowed || d.Decision != map[bool]string{true: "allow", false: "deny"}[want.Allowed] ||
			d.Timestamp != float64(want.Time.UnixMicro())/1e6 || d.PolicyID != want.PolicyID || d.Action != d.Reason || d.Execution <= 0 ||
			d.Context["operation"] == nil {
			t.Errorf("%+v isn't %+v", d, want)
		}
	}
	first, last := truth[200].Time, truth[300].Time
	between := getJSON[[]any](t, fmt.Sprintf("%s?limit=1000&start_time=%.6f&end_time=%.6f", url, seconds1970(first), seconds1970(last)))
	if len(between) != 101 {
		t.Errorf("from decision 200 to 300: %d, want 101, since the bounds are included", len(between))
	}
	if n := len(getJSON[[]any](t, url+"?limit=1000&start_time=yesterday")); n != len(truth) {
		t.Errorf("a bound that is no number: %d", n)
	}
	for _, d := range getJSON[[]decisionRowAnswer](t, url+"?limit=1000&result=denied&component=fl-client") {
		if d.Result || d.Component != "fl-client" || d.Context["client_id"] == nil || !strings.Contains(d.Reason, "CPU") {
			t.Errorf("denied to a client: %+v", d)
		}
	}
}

func seconds1970(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }

// TestPolicyMetrics: rows of whole hours from start_time on, and the sums of their decisions are the engine's.
func TestPolicyMetrics(t *testing.T) {
	bed, clock := open(t, Options{Seed: 2, RoundEvery: 90 * time.Second})
	clock.advance(3 * time.Hour)
	type row struct {
		Timestamp float64  `json:"timestamp"`
		ISO       string   `json:"iso_time"`
		Type      string   `json:"metric_type"`
		Name      string   `json:"metric_name"`
		Value     float64  `json:"metric_value"`
		Unit      string   `json:"unit"`
		Allowed   *int     `json:"allowed_count"`
		Denied    *int     `json:"denied_count"`
		Rate      *float64 `json:"denial_rate"`
		Average   *float64 `json:"avg_evaluation_time_ms"`
	}
	url := bed.Policy.URL() + "/api/v1/policy_metrics"
	start := seconds1970(noon) - 1000
	var total, allowed, denied int
	hours := map[float64]bool{}
	for _, r := range getJSON[[]row](t, fmt.Sprintf("%s?start_time=%.1f&end_time=%.1f", url, start, start+4*3600)) {
		hours[(r.Timestamp-start)/3600] = true
		if at, err := time.Parse("2006-01-02T15:04:05", r.ISO); err != nil || seconds1970(at) != r.Timestamp {
			t.Errorf("%s, %v; want %f without an offset", r.ISO, err, r.Timestamp)
		}
		switch r.Name {
		case "active_policies":
			if r.Value != float64(len(policies)) || r.Type != "policy_count" {
				t.Errorf("%+v", r)
			}
		case "total_decisions":
			total, allowed, denied = total+int(r.Value), allowed+*r.Allowed, denied+*r.Denied
			if r.Type != "decision_count" || r.Average == nil || *r.Average <= 0 || r.Rate == nil {
				t.Errorf("%+v", r)
			}
		}
	}
	if len(hours) != 5 || !hours[0] || !hours[4] {
		t.Errorf("the hours are %v", hours)
	}
	type metrics struct {
		Total   int     `json:"policy_checks_total"`
		Allowed int     `json:"policy_checks_allowed"`
		Denied  int     `json:"policy_checks_denied"`
		Latest  float64 `json:"latest_application_timestamp"`
	}
	m := getJSON[metrics](t, bed.Policy.URL()+"/metrics")
	if total != m.Total || allowed != m.Allowed || denied != m.Denied || total != allowed+denied || denied == 0 {
		t.Errorf("%d allowed and %d denied of %d by hours; %+v", allowed, denied, total, m)
	}
	if n := len(getJSON[[]row](t, url+"?start_time=1")); n < 25 {
		t.Errorf("without an end: %d rows, want those of a day", n)
	}
	for _, query := range []string{"?start_time=nan&end_time=inf", "?start_time=-1e300&end_time=1e300"} {
		if status, _ := get(t, url+query); status != 200 {
			t.Errorf("%s: %d", query, status)
		}
	}
}
