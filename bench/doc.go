// Package bench compares the collector with what a user would pick instead: VictoriaMetrics, Prometheus and
// InfluxDB, on one machine, in one run, on the same payload bytes. It is behind collector bench.
//
// A run is made of parts. A Part asks one kind of question, measures, checks every answer against the
// generator, and puts what it found into the run's Report: figures by Measure and system, and plots. A wrong
// answer is a failure that the report shows in the figure's place. To add a part, implement Part and name it
// in parts.go; its figures get a table, and its plots are drawn, without more.
//
// A system is a program under test: the collector or a peer. The harness starts it in a directory of its own
// on a free port of the loopback interface, and ends it by its process id, however the run ends but by kill -9. Its CPU time and
// memory are those that the operating system accounts to that process; the client's are not in them.
//
// The parts scale and range have no peers. They ask how cost grows, with the number of series from a thousand to a
// million and with the range of a query from an hour to a year, of an engine in this process: so live memory can be
// told, and CPU time to a microsecond. Their tables have sizes for columns.
//
// Payloads are encoded before the clock starts, in slabs of bounded size: the clock stands still while the
// next slab is made. Two connections send them in a closed loop.
package bench
