package ingest

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRestrict: the source is looked at wherever it stands, spelt however, also when the series is in the
// cache; and only for the one body.
func TestRestrict(t *testing.T) {
	d := newTestDecoder()
	only := func(source string) bool { return source == "edge" }
	for _, test := range []struct {
		body     string
		shape    Shape
		accepted int
		rejected []int // indexes
	}{
		{`{"source":"edge","metrics":[{"name":"a","value":1},{"name":"a","value":1,"source":"other"},{"name":"a","value":1,"source":""}]}`, Metrics, 2, []int{1}},
		{`{"source":"edg\u0065","metrics":[{"name":"a","value":1}]}`, Metrics, 1, nil},
		{`{"source":"other","metrics":[{"name":"a","value":1},{"name":"b","value":1,"source":"edge"}]}`, Metrics, 1, []int{0}},
		{`{"metrics":[{"name":"a","value":1}],"source":"other"}`, Metrics, 0, []int{0}},
		{`{"metrics":[{"name":"a","value":1}],"source":"edge"}`, Metrics, 1, nil},
		{`[{"name":"a","value":1}]`, Metrics, 0, []int{0}}, // default
		{`[{"name":"a","value":1,"tags":{"source":"edge"}}]`, Metrics, 0, []int{0}},
		{`{"batches":[{"source":"other","metrics":[{"name":"a","value":1}]},{"source":"edge","metrics":[{"name":"a","value":1}]}]}`, Batches, 1, []int{0}},
	} {
		mustDecode(t, d, test.body, test.shape) // now the cache has all its series
		for range 2 {
			d.Restrict(only)
			_, report := mustDecode(t, d, test.body, test.shape)
			var rejected []int
			for _, e := range report.Errors {
				rejected = append(rejected, e.Index)
			}
			if diff := cmp.Diff(test.rejected, rejected); report.Accepted != test.accepted || diff != "" {
				t.Errorf("%s: %d accepted, rejected (-want +got):\n%s", test.body, report.Accepted, diff)
			}
		}
		if _, report := mustDecode(t, d, test.body, test.shape); report.Rejected > 0 {
			t.Errorf("%s: the restriction outlives its body: %v", test.body, report.Errors)
		}
	}
	d.Restrict(only)
	_, report := mustDecode(t, d, `[{"name":"a","value":1,"source":"other"}]`, Metrics)
	if got, want := fmt.Sprint(report.Errors[0].Reason), `source is "other", which the key may not write as`; got != want {
		t.Errorf("reason %q, want %q", got, want)
	}
}
