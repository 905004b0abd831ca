package flopynet

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// TestLargeAnswersAreCut asks for more than fits into an answer: the newest of it come, whole ones, and the rest with the next page.
func TestLargeAnswersAreCut(t *testing.T) {
	db := openEngine(t, engine.Options{})
	bed := NoTestbed(db, time.Now)
	const large = 200 << 10
	wanted := maxDecisionBytes/large + 20
	for n := range wanted {
		d := NewDecision(fmt.Appendf(nil, `{"id":"d%d","policy_id":"p","result":true,"context":{"x":"%s"}}`, n, strings.Repeat("y", large)), noon.Add(time.Duration(n)*time.Second).UnixNano())
		if err := bed.StoreDecisions(t.Context(), []Decision{d}, nil); err != nil {
			t.Fatal(err)
		}
	}
	decisions, err := bed.Decisions(t.Context(), DecisionQuery{From: model.MinTime, To: model.MaxTime, Limit: 10_000})
	if err != nil || len(decisions) >= wanted || len(decisions) < wanted-20 || !strings.Contains(string(decisions[0]), fmt.Sprintf(`"id":"d%d"`, wanted-1)) {
		t.Errorf("%d of %d decisions, %v", len(decisions), wanted, err)
	}

	rounds := maxRoundsBytes/(maxRoundBytes-1000) + 20
	var fresh []*round
	for n := 1; n <= rounds; n++ {
		r, err := readRound(fmt.Appendf(nil, `{"round":%d,"timestamp":%d,"raw_metrics":{"x":"%s"}}`, n, noon.Unix()+int64(n), strings.Repeat("y", maxRoundBytes-1000)))
		if err != nil {
			t.Fatal(err)
		}
		r.training = ordinalStride
		fresh = append(fresh, r)
	}
	for at := 0; at < len(fresh); at += 100 {
		if err := bed.fl.rounds.store(fresh[at:min(at+100, len(fresh))], nil); err != nil {
			t.Fatal(err)
		}
	}
	page, err := bed.FLRounds(RoundsQuery{Limit: 10_000, WithMetrics: true})
	if err != nil || page.Total != rounds || len(page.Rounds) >= rounds || len(page.Rounds) < rounds-30 {
		t.Fatalf("%d of %d rounds, total %d, %v", len(page.Rounds), rounds, page.Total, err)
	}
	rest, err := bed.FLRounds(RoundsQuery{Limit: 10_000, Offset: len(page.Rounds), WithMetrics: true})
	if err != nil || len(page.Rounds)+len(rest.Rounds) != rounds || rest.Rounds[0].Round != len(page.Rounds)+1 {
		t.Errorf("%d rounds behind %d, %v", len(rest.Rounds), len(page.Rounds), err)
	}
}
