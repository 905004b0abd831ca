// Package tsdb compares the engine with prometheus/tsdb, both in this process and in one run. It is a
// module of its own, so that the collector doesn't depend on Prometheus.
//
//	make bench-tsdb    benchmarks of either, with figures
//	make bench-smoke   ratios between them, bytes and allocations, held to bounds: the tests of this package
package tsdb
