package chunk

import "testing"

// TestBytesPerSample holds the codecs to what a day of a series may take on average, header and checksum
// included. The data is always the same, and the budgets are close above what it takes: whoever makes a
// chunk larger is to know it.
func TestBytesPerSample(t *testing.T) {
	budgets := map[string]float64{
		"full": 6.31, "dec2": 1.165, "int": 0.316,
		"full-jitter": 6.83, "dec2-jitter": 1.7,
	}
	const series = 50
	for _, w := range workloads {
		t.Run(w.name, func(t *testing.T) {
			bytes := 0
			for seed := range uint64(series) {
				times, values := w.series(seed, daySamples)
				stored := Encode(nil, testKey, times, values)
				requireStored(t, testKey, stored, times, values)
				bytes += len(stored)
			}
			got := float64(bytes) / (series * daySamples)
			if got > budgets[w.name] {
				t.Errorf("a sample takes %.4f bytes, at most %.4f are meant", got, budgets[w.name])
			}
			t.Logf("a sample takes %.4f bytes", got)
		})
	}
}
