package chunk

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/flopynet/collector/model"
)

// aggregateOf seals the values and returns what the header says of them.
func aggregateOf(t *testing.T, values []float64) (model.Aggregate, bool) {
	t.Helper()
	times := make([]int64, len(values))
	for i := range times {
		times[i] = int64(i) * second
	}
	var a Appender
	a.Append(times, values)
	if _, ok := a.Block().Header().Aggregate(); ok {
		t.Error("an open chunk claims to know its aggregates")
	}
	header, err := ReadHeader(a.Seal(nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	return header.Aggregate()
}

func TestAggregate(t *testing.T) {
	inf := math.Inf(1)
	for _, test := range []struct {
		name   string
		values []float64
		want   model.Aggregate
	}{
		{"one", []float64{3}, model.Aggregate{Count: 1, Sum: 3, Min: 3, Max: 3, First: 3, Last: 3}},
		{"some", []float64{3, -1, 2}, model.Aggregate{Count: 3, Sum: 4, Min: -1, Max: 3, First: 3, Last: 2}},
		{"cancelling", []float64{1e100, 1, -1e100, 1}, model.Aggregate{Count: 4, Sum: 2, Min: -1e100, Max: 1e100, First: 1e100, Last: 1}},
		{"infinite", []float64{1, inf, 2}, model.Aggregate{Count: 3, Sum: inf, Min: 1, Max: inf, First: 1, Last: 2}},
		{"all infinite", []float64{-inf, -inf}, model.Aggregate{Count: 2, Sum: -inf, Min: -inf, Max: -inf, First: -inf, Last: -inf}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got, ok := aggregateOf(t, test.values); got != test.want || !ok {
				t.Errorf("got %+v, %t, want %+v", got, ok, test.want)
			}
		})
	}
}

func TestAggregateOfOppositeInfinities(t *testing.T) {
	got, ok := aggregateOf(t, []float64{math.Inf(1), math.Inf(-1)})
	if !ok || math.Float64bits(got.Sum) != math.Float64bits(math.NaN()) {
		t.Errorf("the sum is %x, %t", math.Float64bits(got.Sum), ok)
	}
}

func TestAggregateBesideNaN(t *testing.T) {
	got, ok := aggregateOf(t, []float64{1, nan(7), 3})
	if want := (model.Aggregate{Count: 3, First: 1, Last: 3}); ok || got != want {
		t.Errorf("got %+v, %t, want %+v, false", got, ok, want)
	}
}

// TestSumIsExact compares with a sum of unlimited precision.
func TestSumIsExact(t *testing.T) {
	const seed = 3
	random := rand.New(rand.NewPCG(seed, 3))
	values := make([]float64, MaxAppended)
	exact := new(big.Float).SetPrec(2000)
	magnitudes := 0.0
	for i := range values {
		values[i] = random.NormFloat64() * math.Pow10(random.IntN(12))
		exact.Add(exact, new(big.Float).SetFloat64(values[i]))
		magnitudes += math.Abs(values[i])
	}
	got, _ := aggregateOf(t, values)
	want, _ := exact.Float64()
	if math.Abs(got.Sum-want) > 1e-15*magnitudes {
		t.Errorf("seed %d: the sum is %v, want %v", seed, got.Sum, want)
	}
}
