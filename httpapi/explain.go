package httpapi

import (
	"time"

	"github.com/flopynet/collector/model"
)

// explanation is what explain=true adds to an answer. Of raw samples, only what is known of them is told.
// An answer from the cache tells how it was made when it came there.
type explanation struct {
	Series         int            `json:"series"`         // that match
	Cache          string         `json:"cache"`          // hit, miss, or none: nothing is kept, or it is off
	ChunksRead     *int           `json:"chunks_read"`    // decoded
	ChunksSkipped  *int           `json:"chunks_skipped"` // outside the range, or their header said enough
	SamplesDecoded *int           `json:"samples_decoded"`
	Tiers          []string       `json:"tiers"`     // that were read
	Points         map[string]int `json:"points"`    // of rollups, read by tier
	Stages         stageTimes     `json:"stages_ms"` // of this request
}

// stageTimes are in milliseconds; a stage that there was not is left out.
type stageTimes struct {
	Cache  *float64 `json:"cache,omitempty"` // taking the answer from the cache
	Find   *float64 `json:"find,omitempty"`  // the series
	Read   *float64 `json:"read,omitempty"`  // their data, and aggregating it
	Encode *float64 `json:"encode,omitempty"`
}

// explain tells how an answer came about that took so long to get from the engine and then to spell.
func (s *Server) explain(a *answer, asking, encoding time.Duration) explanation {
	stage := func(d time.Duration) *float64 {
		ms := milliseconds(d)
		return &ms
	}
	e := explanation{Cache: "none", Stages: stageTimes{Encode: stage(encoding)}}
	if a.aggregated == nil {
		e.Series = len(a.samples.Series)
		e.Tiers = []string{model.TierRaw.String()}
		e.Stages.Read = stage(asking)
		return e
	}
	found := &a.aggregated.Explain
	e.Series = a.aggregated.SeriesCount
	e.ChunksRead, e.ChunksSkipped, e.SamplesDecoded = &found.ChunksRead, &found.ChunksSkipped, &found.SamplesDecoded
	e.Tiers = []string{}
	for tier, read := range found.Tiers {
		if read {
			e.Tiers = append(e.Tiers, model.Tier(tier).String())
		}
	}
	e.Points = map[string]int{}
	for _, tier := range []model.Tier{model.Tier5m, model.Tier1h} {
		e.Points[tier.String()] = found.Points[tier]
	}
	switch {
	case found.Cached:
		e.Cache = "hit"
		e.Stages.Cache = stage(asking)
		return e
	case s.db.Stats().Cache.MaxBytes > 0:
		e.Cache = "miss"
	}
	e.Stages.Find, e.Stages.Read = stage(found.Find), stage(found.Read)
	return e
}
