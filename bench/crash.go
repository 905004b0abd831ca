package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// crash kills systems with kill -9 while they are written to, and counts what comes back of what they had
// acknowledged.
type crash struct{}

const partCrash = "crash"

// Names implements Part.
func (crash) Names() []string { return []string{partCrash} }

// scenario is how a system is written to until it is killed.
type scenario struct {
	name  string
	shape Shape
	rate  int // samples a second; 0: as many as it takes
	until time.Duration
	share float64 // of the requests of a connection, after which it is killed even before; 1: none is left then
}

// Names of scenarios, as in the tables.
const (
	crashPaced = "1,000 series, 100,000 samples/s"
	crashFlat  = "1,000 series, flat out"
)

func scenarios(quick bool) []scenario {
	cpu, high := cpuShape(quick), highShape(quick)
	high.Hosts /= 2
	paced := 6 * time.Second
	if quick {
		paced = 2 * time.Second
	}
	return []scenario{
		{crashPaced, cpu, 100_000, paced, 1},
		{crashFlat, cpu, 0, 3 * time.Second, 0.75},                                              // before there is nothing left to be written
		{spell(float64(high.Hosts*perHost)) + " new series, flat out", high, 0, time.Minute, 1}, // all of them are written
	}
}

func crashReady(name string) Measure { return Measure{"After kill -9", name, "s until it answers"} }
func crashLost(name string) Measure {
	return Measure{"After kill -9", name, "acknowledged samples lost"}
}

// Run implements Part.
func (crash) Run(ctx context.Context, run *Run) error {
	for _, scenario := range scenarios(run.Quick) {
		w := NewWorkload(scenario.shape, variantDec2, run.Day)
		for _, system := range run.systems {
			if err := run.crashOne(ctx, system, scenario, w); err != nil {
				return fmt.Errorf("%s, %s: %w", system.Name(), scenario.name, err)
			}
		}
	}
	return nil
}

// crashOne writes until the time is up, kills, starts again and counts.
func (run *Run) crashOne(ctx context.Context, system System, now scenario, w *Workload) (err error) {
	encoding := ""
	for _, name := range run.Encodings {
		if encoding == "" && system.takes(name) {
			encoding = name
		}
	}
	if encoding == "" {
		return nil
	}
	s, err := run.startNew(ctx, system, serveMode{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.discard()) }()
	run.progress.begin(fmt.Sprintf("killing %s: %s", system.Name(), now.name), 1)
	defer run.progress.done()
	written, err := run.writeAndKill(ctx, s, now, w, encoding)
	if err != nil {
		run.Report.Fail(crashLost(now.name), system.Name(), err.Error())
		return ctx.Err()
	}
	began := time.Now()
	back, err := run.start(ctx, system, s.directory, serveMode{})
	if err != nil {
		return fmt.Errorf("starting again: %w", err)
	}
	defer back.process.Kill()
	defer back.client.close()
	var response fasthttp.Response
	probe := question{field: 0, host: -1, from: w.Start, to: w.End(), function: totals}
	if err := back.process.await(ctx, readyTimeout, func() error {
		_, err := back.client.get(system.ask(probe), &response)
		return err
	}); err != nil {
		return err
	}
	run.Report.Add(crashReady(now.name), system.Name(), time.Since(began).Seconds())
	run.Report.Add(Measure{"After kill -9", now.name, "acknowledged samples"}, system.Name(), float64(sum(written)*perHost))
	lost, err := back.lost(w, written)
	if err != nil {
		if err := errors.Join(ctx.Err(), back.hasEnded()); err != nil {
			return err
		}
		run.Report.Fail(crashLost(now.name), system.Name(), "wrong: "+err.Error())
		return nil
	}
	run.Report.Add(crashLost(now.name), system.Name(), float64(lost))
	return nil
}

func sum(numbers []int) (total int) {
	for _, number := range numbers {
		total += number
	}
	return total
}

// writeAndKill writes in a closed loop on each connection, kills the system in the midst of it, and returns how
// many steps of each host were acknowledged before.
func (run *Run) writeAndKill(ctx context.Context, s *server, now scenario, w *Workload, encoding string) ([]int, error) {
	to, newEncoder := s.system.payload(encoding, w.Hosts)
	acknowledged := make([]int, w.Hosts)
	failures := make([]error, connections)
	var killed atomic.Bool
	var writing sync.WaitGroup
	senders := make([]*sender, connections)
	all := w.blocks(connections)
	for i := range senders {
		senders[i] = &sender{client: newClient(s.address), encoder: newEncoder()}
		senders[i].slab.fill(senders[i].encoder, w, all[i])
	}
	pace := newPace(connections)
	enough := make(chan struct{}, connections)
	began := time.Now()
	for i, sender := range senders {
		last := int(now.share * float64(len(sender.slab.ends)))
		writing.Go(func() {
			defer sender.client.close()
			defer pace.finish(i)
			sent := 0
			for number := range sender.slab.ends {
				pace.step(i)
				if now.rate > 0 {
					time.Sleep(time.Until(began.Add(time.Duration(connections*sent) * time.Second / time.Duration(now.rate))))
				}
				if killed.Load() || ctx.Err() != nil {
					return
				}
				if err := sender.client.send(to, sender.slab.body(number)); err != nil {
					if !killed.Load() {
						failures[i] = err
					}
					return
				}
				sent += sender.slab.count[number]
				b := all[i][number]
				for host := b.firstHost; host < b.firstHost+b.hosts; host++ {
					acknowledged[host] = b.firstStep + b.steps
				}
				if now.share < 1 && number+1 == last {
					enough <- struct{}{} // and goes on
				}
			}
		})
	}
	written := make(chan struct{})
	go func() { writing.Wait(); close(written) }()
	timer := time.NewTimer(now.until)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-enough:
	case <-written:
	case <-ctx.Done():
	}
	killed.Store(true)
	s.process.Kill()
	<-written
	return acknowledged, errors.Join(append(failures, ctx.Err())...)
}

// lost counts the acknowledged samples that don't come back. Only the range that was acknowledged is looked at:
// what was stored beyond it makes up for nothing.
func (s *server) lost(w *Workload, acknowledged []int) (int, error) {
	lost := 0
	for _, steps := range distinct(acknowledged) {
		if steps == 0 {
			continue
		}
		for field := range fields {
			q := question{field: field, host: -1, byHost: true, from: w.Start, to: w.Start.Add(time.Duration(steps) * step), function: totals}
			var response fasthttp.Response
			body, err := s.client.get(s.system.ask(q), &response)
			if err != nil {
				return 0, err
			}
			rows, err := s.system.read(q, body)
			if err != nil {
				return 0, err
			}
			found := map[string]row{}
			for _, r := range rows {
				found[r.host] = r
			}
			for host, acked := range acknowledged {
				if acked != steps {
					continue
				}
				r, there := found[hostName(host)]
				if !there {
					lost += steps
					continue
				}
				count := int(r.values[0])
				if count > steps { // which must not make up for what others have lost
					return 0, fmt.Errorf("%s of %s has %d samples where %d were written", metricName(field), r.host, count, steps)
				}
				if lost += steps - count; count != steps {
					continue
				}
				want := w.compute(q, linear, []int{host}, q.from, q.to)
				if err := compareRows([]row{{r.host, r.at, want}}, []row{r}, 1e-9); err != nil {
					return 0, err
				}
			}
		}
	}
	return lost, nil
}

// distinct are the different numbers of a list, ascending.
func distinct(numbers []int) []int {
	return slices.Compact(slices.Sorted(slices.Values(numbers)))
}
