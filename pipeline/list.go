package pipeline

import (
	"net/url"
	"slices"
	"strings"
)

// View is a pipeline as it stands.
type View struct {
	ID         string
	Definition Definition // without the secret
	Signed     bool       // there is a secret
	Status     string
	Created    int64 // as all times, in nanoseconds since the epoch
	Updated    int64
	Position   int64 // of a scheduled one: all windows before it are done
	NextRun    int64 // the same; when
	Pending    int   // deliveries that wait
	LastRun    *RunView
}

// RunView is a run with what became of its delivery.
type RunView struct {
	Run
	Delivery *Delivery // nil: there is none
}

// List returns all pipelines by name.
func (m *Manager) List() []View {
	m.mu.Lock()
	defer m.mu.Unlock()
	views := make([]View, 0, len(m.pipelines))
	for _, e := range m.pipelines {
		views = append(views, e.view())
	}
	slices.SortFunc(views, func(a, b View) int { return strings.Compare(a.Definition.Name, b.Definition.Name) })
	return views
}

// Get returns a pipeline, or ErrUnknown.
func (m *Manager) Get(name string) (View, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.pipelines[name]; e != nil {
		return e.view(), nil
	}
	return View{}, ErrUnknown
}

// Runs returns the runs of a pipeline that are kept, the newest first, or ErrUnknown.
func (m *Manager) Runs(name string) ([]RunView, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.pipelines[name]
	if e == nil {
		return nil, ErrUnknown
	}
	views := make([]RunView, 0, len(e.runs))
	for _, run := range slices.Backward(e.runs) {
		views = append(views, e.runView(run))
	}
	return views, nil
}

func (e *entry) view() View {
	v := View{ID: e.ID, Definition: e.Definition, Signed: e.Definition.Output.Secret != "", Status: StatusCompleted,
		Created: e.Created, Updated: e.Updated, Pending: len(e.waiting)}
	v.Definition.Output.Secret = ""
	if e.Definition.Schedule != 0 {
		v.Status, v.Position = StatusScheduled, e.Position
		if e.failures > 0 {
			v.Status = StatusFailing
		}
		_, _, at := e.nextRange()
		v.NextRun = max(at+int64(Lateness), e.retryAt)
	}
	if last := e.lastRun(); last != nil {
		run := e.runView(last)
		v.LastRun = &run
	}
	return v
}

func (e *entry) runView(run *Run) RunView {
	view := RunView{Run: *run}
	if d := e.deliveries[run.DeliveryID]; d != nil {
		copied := *d
		view.Delivery = &copied
	}
	return view
}

// host returns the host of a webhook, without its port.
func (o *Output) host() string {
	target, err := url.Parse(o.URL)
	if err != nil {
		return ""
	}
	return target.Hostname()
}
