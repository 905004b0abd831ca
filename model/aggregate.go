package model

// Aggregate holds what a chunk's header knows of its samples. Sum, Min and Max are meaningful only
// when no sample is NaN; the chunk says so. First and Last are the values at the smallest and the
// largest time.
type Aggregate struct {
	Count int64
	Sum   float64
	Min   float64
	Max   float64
	First float64
	Last  float64
}
