package analysis

import (
	"fmt"
	"strings"
)

// Algorithm is a way to score points.
type Algorithm uint8

// The algorithms. All but the forest measure a distance.
const (
	IsolationForest Algorithm = iota // how few random cuts isolate a point
	ZScore                           // standard deviations from the mean
	MAD                              // robust scales from the median
	IQR                              // interquartile ranges beyond the quartiles
	EWMA                             // from the exponentially weighted mean of the points before
	Seasonal                         // from what the series' cycle lets expect
)

var algorithmNames = [...]string{"isolation_forest", "zscore", "mad", "iqr", "ewma", "seasonal"}

// String returns the name that ParseAlgorithm reads.
func (a Algorithm) String() string { return algorithmNames[a] }

// ParseAlgorithm returns the algorithm of a name.
func ParseAlgorithm(name string) (Algorithm, error) {
	for i, known := range algorithmNames {
		if name == known {
			return Algorithm(i), nil
		}
	}
	return 0, fmt.Errorf("use one of %s", strings.Join(algorithmNames[:], ", "))
}

// Severity says how much an anomaly stands out.
type Severity uint8

// The severities, with the least score of each.
const (
	Low      Severity = iota // 0
	Medium                   // 0.7
	High                     // 0.85
	Critical                 // 0.97
)

// String returns the severity in lower case.
func (s Severity) String() string { return [...]string{"low", "medium", "high", "critical"}[s] }

func severityOf(score float64) Severity {
	switch {
	case score < 0.7:
		return Low
	case score < 0.85:
		return Medium
	case score < 0.97:
		return High
	}
	return Critical
}
