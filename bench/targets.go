package bench

import "fmt"

// target is what a figure of ours should be, as a share of the baseline's or by itself.
type target struct {
	measure Measure
	limit   float64
	atLeast bool // the limit is the least; else the most
	ratio   bool // of the baseline's figure; else of ours alone
}

// targets are those that the project has set itself, with every write fsynced. The append and decode rates in
// one process are measured beside prometheus/tsdb by make bench-tsdb.
func (run *Run) targets() []target {
	cpu, high := cpuShape(run.Quick), highShape(run.Quick)
	var targets []target
	atMost := func(measure Measure, limit float64) {
		targets = append(targets, target{measure, limit, false, true})
	}
	atLeast := func(measure Measure, limit float64) {
		targets = append(targets, target{measure, limit, true, true})
	}
	limit := func(measure Measure, limit float64) {
		targets = append(targets, target{measure, limit, false, false})
	}
	for _, one := range []struct {
		encoding  string
		cpu, rate float64
	}{{encodingInflux, 0.30, 2}, {encodingPRW, 0.35, 1.5}, {encodingJSON, 0.30, 1.5}} {
		l := load{cpu, variantDec2, one.encoding}
		atMost(ingestCPU(l), one.cpu)
		atLeast(ingestRate(l), one.rate)
		atMost(peakMemory(l), 1)
	}
	highInflux := load{high, variantDec2, encodingInflux}
	atMost(ingestCPU(highInflux), 0.25)
	atLeast(ingestRate(highInflux), 4)
	atMost(peakMemory(highInflux), 1)
	atMost(peakMemory(load{high, variantDec2, encodingPRW}), 1.2)
	atMost(peakMemory(load{high, variantDec2, encodingJSON}), 1)

	full, dec2, whole := load{shape: cpu, variant: variantFull}, load{shape: cpu, variant: variantDec2}, load{shape: cpu, variant: variantInt}
	limit(diskRaw(full), 6.5)
	limit(diskRaw(dec2), 1.20)
	limit(diskRaw(whole), 0.34)
	limit(diskTiers(dec2), 0.30)
	limit(diskSketches(dec2), 0.20)
	for _, one := range []struct {
		query string
		most  float64
	}{{queryA, 0.5}, {queryB, 0.10}, {rawQuery, 0.20}, {queryC, 0.08}, {queryD0, 0.15}, {queryD1, 0.10}} {
		p50, _ := queryMeasures(dec2, one.query, "")
		atMost(p50, one.most)
	}
	p50, _ := queryMeasures(full, rawQuery, "")
	atMost(p50, 0.30)
	for _, name := range []string{queryA, queryB, queryC, queryD0, queryD1} {
		p50, _ := queryMeasures(dec2, name, "cached")
		limit(p50, 0.3)
	}
	atLeast(exportRate(dec2, exportCSV), 2)
	atLeast(exportRate(dec2, exportLines), 1.5)
	atLeast(exportRate(full, exportCSV), 1.5)
	atLeast(exportRate(full, exportLines), 1)
	targets = append(targets, target{exportRate(dec2, exportParquet), 8e6, true, false}, target{exportRate(dec2, exportArrow), 60e6, true, false})
	for _, scenario := range scenarios(run.Quick) {
		limit(crashReady(scenario.name), 0.5)
		limit(crashLost(scenario.name), 0)
	}
	return targets
}

// targetTable spells the targets, what was measured, and whether that meets them. All is computed.
func (run *Run) targetTable() string {
	rows := [][]string{{"figure", "target", "measured", "met"}}
	for _, t := range run.targets() {
		wanted := "at most " + spell(t.limit)
		if t.atLeast {
			wanted = "at least " + spell(t.limit)
		}
		if t.ratio {
			wanted += "x of " + baselineName
		} else {
			wanted += " " + t.measure.Unit
		}
		measured, met := run.judge(t)
		rows = append(rows, []string{fmt.Sprintf("%s, %s, %s", t.measure.Section, t.measure.Name, t.measure.Unit), wanted, measured, met})
	}
	return markdown(rows)
}

// judge compares a target with the figures.
func (run *Run) judge(t target) (measured, met string) {
	value, known := run.Report.Value(t.measure, oursName)
	if run.Report.failed(t.measure, oursName) {
		return "FAILED", "no"
	}
	if !known {
		return "", "not measured"
	}
	measured = spell(value)
	if t.ratio {
		base, known := run.Report.Value(t.measure, baselineName)
		if !known || base == 0 {
			return spell(value) + ", alone", "not measured"
		}
		value /= base
		measured = spell(value) + "x"
	}
	if (t.atLeast && value >= t.limit) || (!t.atLeast && value <= t.limit) {
		return measured, "yes"
	}
	return measured, "no"
}
