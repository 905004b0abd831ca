package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// startSleep starts a program that goes on until it is killed.
func startSleep(t *testing.T) *Process {
	t.Helper()
	if _, err := exec.LookPath("sleep"); err != nil {
		t.Skip("there is no program sleep")
	}
	var all processes
	p, err := all.start(exec.Command("sleep", "1000"), filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

// TestKilledInTheMidst has a server that takes all but the last requests: it is killed before it would have taken these.
func TestKilledInTheMidst(t *testing.T) {
	const requests = 40 // of each connection
	shape := Shape{Name: "cpu", Hosts: connections, Steps: requests, HostsPerRequest: 1, StepsPerRequest: 1}
	w := NewWorkload(shape, variantDec2, testDay)
	process := startSleep(t)
	var taken atomic.Int64
	taker := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
		// By then both connections have sent three quarters, however one is ahead.
		if taken.Add(1) > 3*requests/4+requests {
			<-process.exited
			out.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer taker.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	context.AfterFunc(ctx, process.Kill)
	run := &Run{progress: &progress{out: io.Discard}}
	s := &server{system: &collector{}, process: process, address: taker.Listener.Addr().String()}
	written, err := run.writeAndKill(ctx, s, scenario{"flat out", shape, 0, time.Hour, 0.75}, w, encodingInflux)
	if err != nil {
		t.Fatal(err)
	}
	if all := sum(written); all < requests || all >= connections*requests {
		t.Errorf("%d steps of %d were acknowledged", all, connections*requests)
	}
}

// TestLostSamplesAreCounted has hosts with fewer samples than were acknowledged, with none, and with more, which makes up for nothing.
func TestLostSamplesAreCounted(t *testing.T) {
	w := NewWorkload(testShape, variantDec2, testDay)
	var more atomic.Int64
	keeper := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		field := 0
		for i := range fields {
			if r.URL.Query().Get("metric") == metricName(i) {
				field = i
			}
		}
		var series []string
		for host, count := range []int64{30, 25 + more.Load(), 30} { // of the fourth, nothing is left
			sum := 0.0
			for _, value := range w.series(host, field) {
				sum += value
			}
			series = append(series, fmt.Sprintf(`{"tags":{"host":"%s"},"data_points":[{"timestamp":"%s","values":{"count":%d,"sum":%v}}]}`,
				hostName(host), timeText(w.Start), count, sum))
		}
		fmt.Fprintf(out, `{"series":[%s]}`, strings.Join(series, ","))
	}))
	defer keeper.Close()
	s := &server{system: &collector{}, client: newClient(keeper.Listener.Addr().String())}
	defer s.client.close()
	acknowledged := []int{30, 30, 30, 30}
	if lost, err := s.lost(w, acknowledged); err != nil || lost != (5+30)*perHost {
		t.Errorf("%d are lost, %v", lost, err)
	}
	more.Store(35)
	if lost, err := s.lost(w, acknowledged); err == nil {
		t.Errorf("a host has twice as much as it should, and %d are lost", lost)
	}
}
