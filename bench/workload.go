package bench

import (
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"strconv"
	"time"
)

// fields are the metrics of a host, as in TSBS' devops case. With the measurement in front they are the
// names of metrics: cpu_usage_user.
var fields = [...]string{
	"usage_user", "usage_system", "usage_idle", "usage_nice", "usage_iowait",
	"usage_irq", "usage_softirq", "usage_steal", "usage_guest", "usage_guest_nice",
}

const (
	measurement = "cpu"
	perHost     = len(fields)
	step        = 10 * time.Second // between two samples of a series
)

// metricName is the name of a host's metric.
func metricName(field int) string { return measurement + "_" + fields[field] }

// Variants of values.
const (
	variantFull = "full" // as they come, 53 bits
	variantDec2 = "dec2" // rounded to two decimals
	variantInt  = "int"  // floored
)

// VariantNames are what --variants may have.
func VariantNames() []string { return []string{variantDec2, variantFull, variantInt} }

// tag is a key and a value of a host. Neither needs escaping in any of the encodings.
type tag struct{ key, value string }

// hostName is the value of the tag host.
func hostName(host int) string { return "host_" + strconv.Itoa(host) }

// tagsOf returns the ten tags of a host, by key, as in TSBS' devops case.
func tagsOf(host int) []tag {
	return []tag{
		{"arch", []string{"x64", "x86"}[host%2]},
		{"datacenter", fmt.Sprintf("eu-west-1%c", 'a'+host%3)},
		{"host", hostName(host)},
		{"os", "Ubuntu16.04LTS"},
		{"rack", strconv.Itoa(host % 100)},
		{"region", "eu-west-1"},
		{"service", strconv.Itoa(host % 20)},
		{"service_environment", "production"},
		{"service_version", strconv.Itoa(host % 2)},
		{"team", []string{"SF", "LON", "NYC", "CHI"}[host%4]},
	}
}

// Shape is the size of a workload and how it is cut into requests.
type Shape struct {
	Name  string
	Hosts int // times 10 is the number of series
	Steps int // samples of each series

	HostsPerRequest int
	StepsPerRequest int
}

// Samples is how many there are in all.
func (s Shape) Samples() int { return s.Hosts * perHost * s.Steps }

// cpuShape is a day of 1,000 series; quick, two hours of them.
func cpuShape(quick bool) Shape {
	shape := Shape{Name: "cpu", Hosts: 100, Steps: 8640, HostsPerRequest: 50, StepsPerRequest: 10}
	if quick {
		shape.Steps = 720
	}
	return shape
}

// highShape has many series, all of them new, of ten samples each: 200,000; quick, 10,000.
func highShape(quick bool) Shape {
	shape := Shape{Name: "hc", Hosts: 20_000, Steps: 10, HostsPerRequest: 500, StepsPerRequest: 1}
	if quick {
		shape.Hosts = 1000
	}
	return shape
}

// Workload is a Shape with its values: for each series a random walk from U(0, 100) with steps N(0, 1), held
// within 0 and 100. The same shape, variant and start give the same bytes.
type Workload struct {
	Shape
	Variant string
	Start   time.Time // of the first sample of every series

	values []float64 // by host, field and step
}

// NewWorkload draws the values.
func NewWorkload(shape Shape, variant string, start time.Time) *Workload {
	w := &Workload{Shape: shape, Variant: variant, Start: start, values: make([]float64, shape.Samples())}
	for series := range shape.Hosts * perHost {
		row := w.values[series*shape.Steps:][:shape.Steps]
		for i, value := range walkOf(uint64(series), shape.Steps) {
			row[i] = variantOf(value, variant)
		}
	}
	return w
}

// walkOf is the random walk of a series.
func walkOf(series uint64, steps int) iter.Seq2[int, float64] {
	return func(yield func(int, float64) bool) {
		random := rand.New(rand.NewPCG(1, series))
		value := random.Float64() * 100
		for i := range steps {
			if !yield(i, value) {
				return
			}
			value = min(max(value+random.NormFloat64(), 0), 100)
		}
	}
}

func variantOf(value float64, variant string) float64 {
	switch variant {
	case variantDec2:
		return math.Round(value*100) / 100
	case variantInt:
		return math.Floor(value)
	default:
		return value
	}
}

// End is where the range of all samples ends; there is none at it.
func (w *Workload) End() time.Time { return w.Start.Add(time.Duration(w.Steps) * step) }

// series returns the values of a host's metric, by step.
func (w *Workload) series(host, field int) []float64 {
	return w.values[(host*perHost+field)*w.Steps:][:w.Steps]
}

// at is the time of a step, in nanoseconds since the epoch.
func (w *Workload) at(number int) int64 { return w.Start.UnixNano() + int64(number)*int64(step) }

// block is the samples of one request.
type block struct {
	firstHost, hosts int
	firstStep, steps int
}

func (b block) samples() int { return b.hosts * b.steps * perHost }

// blocks cuts a workload into the requests of each connection, in the order of time. Each has its share of
// the hosts.
func (s Shape) blocks(connections int) [][]block {
	all := make([][]block, connections)
	for connection := range all {
		from, to := s.Hosts*connection/connections, s.Hosts*(connection+1)/connections
		for at := 0; at < s.Steps; at += s.StepsPerRequest {
			for host := from; host < to; host += s.HostsPerRequest {
				all[connection] = append(all[connection], block{
					firstHost: host, hosts: min(s.HostsPerRequest, to-host),
					firstStep: at, steps: min(s.StepsPerRequest, s.Steps-at),
				})
			}
		}
	}
	return all
}

// allHosts are the numbers of all hosts.
func (w *Workload) allHosts() []int {
	hosts := make([]int, w.Hosts)
	for i := range hosts {
		hosts[i] = i
	}
	return hosts
}
