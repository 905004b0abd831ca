// Package timebench measures what a store does with time: a year of data, and series that come and go. Its
// benchmarks run once each and print what they found.
//
//	make bench-time
//
// or one of them, with settings from the environment:
//
//	go test -run '^$' -bench Year -benchtime 1x -timeout 30m ./bench/time
//	go test -run '^$' -bench Churn -benchtime 1x -timeout 30m ./bench/time
//
// COLLECTOR_BENCH_DAYS is how many days there are: of 365 and of 10. COLLECTOR_BENCH_DIR keeps the year's
// store in that folder, and a later run with the same number of days asks it again without making it anew.
// COLLECTOR_BENCH_PROFILES is a folder for profiles of each phase and query, of the CPU and of the heap after it.
// COLLECTOR_BENCH_SERIES is how many series are new on each day of Churn, of 100,000.
package timebench
