package timebench

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/flopynet/collector/model"
)

const (
	step = 10 * time.Second
	day  = 24 * time.Hour
)

var start = time.Date(2023, 1, 1, 0, 0, 0, 0, time.UTC)

// tagsOf returns the ten tags of a host, as in TSBS' devops case, and the source.
func tagsOf(number int, host string) model.Tags {
	return model.Normalize(model.Tags{
		{Key: "arch", Value: []string{"x64", "x86"}[number%2]},
		{Key: "datacenter", Value: fmt.Sprintf("eu-west-1%c", 'a'+number%3)},
		{Key: "host", Value: host},
		{Key: "os", Value: "Ubuntu16.04LTS"},
		{Key: "rack", Value: fmt.Sprint(number % 100)},
		{Key: "region", Value: "eu-west-1"},
		{Key: "service", Value: fmt.Sprint(number % 20)},
		{Key: "service_environment", Value: "production"},
		{Key: "service_version", Value: fmt.Sprint(number % 2)},
		{Key: "team", Value: []string{"SF", "LON", "NYC", "CHI"}[number%4]},
		{Key: model.SourceKey, Value: "bench"},
	})
}

// walk is a random walk of N(0, 1) steps within 0 to 100, rounded to two decimals, for each of some series.
type walk struct {
	random []*rand.Rand
	values []float64
}

func newWalk(series int) *walk {
	w := &walk{values: make([]float64, series)}
	for i := range w.values {
		w.random = append(w.random, rand.New(rand.NewPCG(1, uint64(i))))
		w.values[i] = w.random[i].Float64() * 100
	}
	return w
}

// next returns the next value of series i in hundredths.
func (w *walk) next(i int) int {
	w.values[i] = min(max(w.values[i]+w.random[i].NormFloat64(), 0), 100)
	return int(math.Round(w.values[i] * 100))
}
