package engine

import (
	"time"

	"github.com/flopynet/collector/model"
)

// Explain tells how an answer came about.
type Explain struct {
	Cached         bool              // it is from the result cache; the rest tells how it was made
	Series         int               // that match
	ChunksRead     int               // decoded, those of points included
	ChunksSkipped  int               // outside the range, or answered by their header alone
	SamplesDecoded int               // of raw chunks
	Tiers          [model.Tiers]bool // that were read, or looked into for the head's samples
	Points         [model.Tiers]int  // read, by tier; samples of the head and of raw chunks are no points
	Workers        int               // goroutines that read side by side, at most
	Find           time.Duration     // spent on finding the series
	Read           time.Duration     // spent on reading and aggregating
}

// add takes in what another part of the work did.
func (e *Explain) add(other *Explain) {
	e.ChunksRead += other.ChunksRead
	e.ChunksSkipped += other.ChunksSkipped
	e.SamplesDecoded += other.SamplesDecoded
	for tier := range e.Points {
		e.Tiers[tier] = e.Tiers[tier] || other.Tiers[tier]
		e.Points[tier] += other.Points[tier]
	}
}
