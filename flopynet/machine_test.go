package flopynet

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestMachine(t *testing.T) {
	m := NewMachine(time.Now)
	first, err := m.Measure(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if first.MemoryBytes == 0 || first.DiskBytes == 0 || first.CPUPercent < 0 || first.CPUPercent > 100 {
		t.Errorf("%+v", first)
	}
	// Asked again at once, it needs no time for the processors.
	at := m.at
	if again, err := m.Measure(t.Context()); err != nil || m.now().Sub(at) < shortestSpan && again.CPUPercent != first.CPUPercent {
		t.Errorf("%+v, then %+v, %v", first, again, err)
	}
}

// TestMachineSpans: a reading that is too old, or too young, is no base for a share.
func TestMachineSpans(t *testing.T) {
	now := noon
	m := NewMachine(func() time.Time { return now })
	measure := func() time.Duration {
		began := time.Now()
		if _, err := m.Measure(t.Context()); err != nil {
			t.Fatal(err)
		}
		return time.Since(began)
	}
	if took := measure(); took < shortestSpan {
		t.Errorf("the first took %v", took)
	}
	now = now.Add(2 * longestSpan)
	if took := measure(); took < shortestSpan {
		t.Errorf("after a long while it took %v", took)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	now = now.Add(2 * longestSpan)
	if _, err := m.Measure(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
