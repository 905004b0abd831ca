package testbed

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Testbed is three components on one scenario. All of it may be used by several goroutines at a time.
type Testbed struct {
	FL     *FL
	Policy *Policy
	SDN    *SDN

	options Options
	control *component
	strays  *component // where RedirectAway leads

	mu       sync.Mutex // guards the scenario; taken before a queue's, never while a component's is held
	scenario *scenario

	clients   *pusher
	decisions *pusher

	closing sync.Once
	stop    chan struct{}
	done    sync.WaitGroup
}

// New starts the components. The caller closes the testbed. The error says which option is wrong, or that an
// address can't be listened at.
func New(options Options) (*Testbed, error) {
	if err := options.complete(); err != nil {
		return nil, err
	}
	t := &Testbed{options: options, stop: make(chan struct{})}
	t.startPushing()
	if err := t.PushTo(options.CollectorURL); err != nil {
		t.stopPushing()
		return nil, err
	}
	t.scenario = newScenario(&t.options)
	t.scenario.measured, t.scenario.policy.decided = t.queueMeasurement, t.queueDecision
	for _, d := range t.scenario.policy.all { // those of its start
		t.queueDecision(d)
	}
	t.FL = &FL{t.newComponent("fl", options.ListenFL)}
	t.FL.handler = t.flRoutes()
	t.Policy = &Policy{t.newComponent("policy", options.ListenPolicy)}
	t.Policy.handler = t.policyRoutes()
	t.SDN = &SDN{t.newComponent("sdn", options.ListenSDN)}
	t.SDN.handler = t.sdnRoutes()
	t.control = t.newComponent("control", options.ListenControl)
	t.control.handler = t.controlRoutes()
	t.strays = t.newComponent("strays", "127.0.0.1:0")
	t.strays.handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, object{}) })
	for _, c := range t.everyone() {
		c.mu.Lock()
		err := c.listen()
		c.mu.Unlock()
		if err != nil {
			t.Close()
			return nil, err
		}
	}
	t.done.Add(1)
	go t.tend()
	return t, nil
}

func (t *Testbed) newComponent(name, listen string) *component {
	return &component{bed: t, name: name, address: listen, requests: map[string]int{}}
}

func (t *Testbed) components() []*component {
	return []*component{t.FL.component, t.Policy.component, t.SDN.component}
}

func (t *Testbed) everyone() []*component { return append(t.components(), t.control, t.strays) }

// Close stops everything, and waits for it. The accessors still tell what has been.
func (t *Testbed) Close() {
	t.closing.Do(func() {
		close(t.stop)
		t.stopPushing()
		for _, c := range t.everyone() {
			c.close()
		}
		t.done.Wait()
	})
}

// tendEvery is how soon, of the real clock, a failure's end is noticed by those who wait for it. What the
// scenario is doesn't depend on it.
const tendEvery = 20 * time.Millisecond

// tend heals what is due, and has the scenario produce what is to be pushed.
func (t *Testbed) tend() {
	defer t.done.Done()
	tick := time.NewTicker(tendEvery)
	defer tick.Stop()
	for {
		select {
		case <-t.stop:
			return
		case <-tick.C:
		}
		now := t.options.Now()
		for _, c := range t.components() {
			c.healIfDue(now)
		}
		t.at(func(*scenario) {})
	}
}

// at brings the scenario up to the present and hands it over.
func (t *Testbed) at(do func(*scenario)) {
	now := t.options.Now().UTC()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.scenario.advance(now)
	do(t.scenario)
}

// ask returns what do makes of the scenario at the present.
func ask[T any](t *Testbed, do func(*scenario) T) T {
	var answer T
	t.at(func(s *scenario) { answer = do(s) })
	return answer
}

// ControlURL is where the testbed is controlled over HTTP.
func (t *Testbed) ControlURL() string { return t.control.URL() }

// Strays tells how many requests followed RedirectAway.
func (t *Testbed) Strays() int { return t.strays.Requests("") }

// FL is the FL server.
type FL struct{ *component }

// Policy is the policy engine.
type Policy struct{ *component }

// SDN is the SDN controller.
type SDN struct{ *component }

// Restart restarts the process: the rounds stay, the events and counters begin anew. All connections are cut.
func (c *FL) Restart() error {
	c.bed.at(func(s *scenario) { s.fl.start(s.policy.version) })
	return c.restart()
}

// Train starts another training now, whose rounds replace those in the database. One that is under way is given up.
func (c *FL) Train() { c.bed.at(func(s *scenario) { s.train() }) }

// Stop has the policy engine deny the round after the one under way, so that the training is stopped by policy.
func (c *FL) Stop(reason string) { c.bed.at(func(s *scenario) { s.fl.stopping = reason }) }

// Resume goes on with a training that was stopped by policy, as FLOPY-NET's POST /restart does. The error says
// that there is none.
func (c *FL) Resume() error {
	if !ask(c.bed, (*scenario).resumeStopped) {
		return errors.New("fl: no training is stopped by policy")
	}
	return nil
}

// Restart restarts the process: its version stays, its decisions, events and counters begin anew.
func (c *Policy) Restart() error {
	c.bed.at(func(s *scenario) { s.policy.start() })
	return c.restart()
}

// Restart restarts the controller. The switches go on.
func (c *SDN) Restart() error {
	c.bed.at(func(s *scenario) { s.startController() })
	return c.restart()
}

// RestartSwitches switches the switches off and on: their counters are zero, their flows are gone.
func (c *SDN) RestartSwitches() { c.bed.at(func(s *scenario) { s.network.restart() }) }

// named tells which component a name of the control server's is.
func (t *Testbed) named(name string) (*component, error) {
	for _, c := range t.components() {
		if c.name == name {
			return c, nil
		}
	}
	return nil, fmt.Errorf("component: %q, must be fl, policy or sdn", name)
}
