package testbed

import (
	"io"
	"net/http"
	"sync"
	"testing"
	"time"
)

// TestAllAtOnce asks everything from many sides while the components fail, heal, restart and train: nothing panics,
// hangs, or leaves a goroutine. It passes no verdict on the answers, which may be ill.
func TestAllAtOnce(t *testing.T) {
	bed, clock := open(t, Options{Seed: 1, RoundEvery: 100 * time.Millisecond, Rounds: 20, CollectorURL: "http://127.0.0.1:1"})
	stop := make(chan struct{})
	var askers sync.WaitGroup
	for i := range 4 {
		askers.Add(1)
		go func() {
			defer askers.Done()
			client := &http.Client{Transport: &http.Transport{}, Timeout: 20 * time.Millisecond}
			defer client.CloseIdleConnections()
			for n := i; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				urls := paths(bed)
				if response, err := client.Get(urls[n%len(urls)]); err == nil {
					_, _ = io.Copy(io.Discard, response.Body)
					response.Body.Close()
				}
			}
		}()
	}
	components := []interface {
		Fail(Failure) error
		Heal() error
		Restart() error
	}{bed.FL, bed.Policy, bed.SDN}
	for i := range 10 * len(modes) {
		c := components[i%len(components)]
		steps := []func() error{
			func() error {
				return c.Fail(Failure{Mode: modes[i%len(modes)], For: 300 * time.Millisecond, Bytes: 1 << 20})
			},
			c.Restart, c.Heal, bed.FL.Restart,
		}
		for _, step := range steps[:1+i%len(steps)] {
			if err := step(); err != nil {
				t.Error(err)
			}
		}
		if i%20 == 0 {
			bed.FL.Train()
			bed.SDN.RestartSwitches()
		}
		clock.advance(57 * time.Millisecond)
		time.Sleep(2 * time.Millisecond) // give the askers a turn
	}
	close(stop)
	askers.Wait()
	bed.Close()
	if len(bed.Rounds()) == 0 {
		t.Error("no round has ended")
	}
}
