// Package rollup makes the points of the tiers 5m and 1h of a series' samples, and encodes them: Columns are
// what is known of the samples of each bucket, Sketches the distributions of the values of each hour.
package rollup
