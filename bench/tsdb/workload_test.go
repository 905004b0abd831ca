package tsdb

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

const (
	hosts   = 100
	metrics = 10
	step    = int64(10 * time.Second)
)

var start = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()

// tagsOf returns the ten tags of a host, as in TSBS' devops case, sorted by key.
func tagsOf(host int) [][2]string {
	return [][2]string{
		{"arch", []string{"x64", "x86"}[host%2]},
		{"datacenter", fmt.Sprintf("eu-west-1%c", 'a'+host%3)},
		{"host", fmt.Sprintf("host_%d", host)},
		{"os", "Ubuntu16.04LTS"},
		{"rack", fmt.Sprint(host % 100)},
		{"region", "eu-west-1"},
		{"service", fmt.Sprint(host % 20)},
		{"service_environment", "production"},
		{"service_version", fmt.Sprint(host % 2)},
		{"team", []string{"SF", "LON", "NYC", "CHI"}[host%4]},
	}
}

func metricName(metric int) string { return fmt.Sprintf("usage_%d", metric) }

// walk is a random walk of N(0, 1) steps within 0 to 100, for each of some series.
type walk struct {
	random *rand.Rand
	values []float64
	round  func(float64) float64
}

func newWalk(series int, round func(float64) float64) *walk {
	w := &walk{random: rand.New(rand.NewPCG(1, 2)), values: make([]float64, series), round: round}
	for i := range w.values {
		w.values[i] = w.random.Float64() * 100
	}
	return w
}

func (w *walk) next(i int) float64 {
	w.values[i] = min(max(w.values[i]+w.random.NormFloat64(), 0), 100)
	return w.round(w.values[i])
}

func full(v float64) float64 { return v }
func dec2(v float64) float64 { return math.Round(v*100) / 100 }

// variants are the workload's kinds of values.
var variants = []struct {
	name  string
	round func(float64) float64
}{{"full", full}, {"dec2", dec2}, {"int", math.Floor}}

// rounds returns n rounds of values, one for each of some metrics of all hosts.
func rounds(n, metrics int, round func(float64) float64) [][]float64 {
	w := newWalk(hosts*metrics, round)
	out := make([][]float64, n)
	for i := range out {
		out[i] = make([]float64, hosts*metrics)
		for k := range out[i] {
			out[i][k] = w.next(k)
		}
	}
	return out
}
