package httpapi

import (
	"context"
	"errors"
	"sync"

	"github.com/valyala/fasthttp"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// maxLiveNames bounds how many metrics or sources one subscription may list.
const maxLiveNames = 1000

func liveRoutes() []route {
	return []route{
		{method: fasthttp.MethodGet, path: "/ws/metrics", about: "updates as they are written, over a WebSocket",
			role: roleRead, live: true, handler: (*Server).openSocket},
		{method: fasthttp.MethodGet, path: "/metrics/stream", about: "the newest samples again and again, as server-sent events",
			role: roleRead, live: true, handler: (*Server).openStream},
	}
}

// liveClients are the connections that were taken over from fasthttp for WebSockets and event streams. fasthttp
// counts them no more and doesn't wait for them, so we do.
type liveClients struct {
	most    int
	stopped chan struct{} // closed when they are to end

	mu    sync.Mutex
	open  map[liveClient]struct{}
	ended bool // no more are let in
	group sync.WaitGroup
}

// liveClient is a connection that can be told to end soon.
type liveClient interface{ hurry() }

func newLiveClients(most int) *liveClients {
	return &liveClients{most: most, stopped: make(chan struct{}), open: make(map[liveClient]struct{})}
}

var (
	errTooManyLive = errors.New("too many live connections are open; retry later")
	errStopping    = errors.New("the collector is stopping; retry when it is back")
)

// enter lets a client in, who calls leave at its end.
func (l *liveClients) enter(c liveClient) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.ended:
		return errStopping
	case len(l.open) >= l.most:
		return errTooManyLive
	}
	l.open[c] = struct{}{}
	l.group.Add(1)
	return nil
}

func (l *liveClients) leave(c liveClient) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, c)
	l.group.Done()
}

// count returns how many clients there are.
func (l *liveClients) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.open)
}

// stop tells all clients to end and waits until they have, or until ctx ends.
func (l *liveClients) stop(ctx context.Context) error {
	l.mu.Lock()
	if !l.ended {
		l.ended = true
		close(l.stopped)
	}
	for c := range l.open {
		c.hurry()
	}
	l.mu.Unlock()
	return waitFor(ctx, &l.group)
}

// waitFor returns when a group is done, or the context is.
func waitFor(ctx context.Context, group *sync.WaitGroup) error {
	done := make(chan struct{})
	go func() {
		group.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// liveSelection is which series a live client wants.
type liveSelection struct {
	filters []tagFilter // of the names and the sources, too
}

// selective reports whether something was named.
func (l *liveSelection) selective() bool { return len(l.filters) > 0 }

// matchers returns the selection as the engine's readers take it.
func (l *liveSelection) matchers() ([]*model.Matcher, error) {
	var matchers []*model.Matcher
	for _, filter := range l.filters {
		m, err := filter.matcher()
		if err != nil {
			return nil, err
		}
		matchers = append(matchers, m)
	}
	return matchers, nil
}

// subscription returns the selection as the engine's hub takes it: lists of values stay lists, by which it finds
// subscriptions.
func (l *liveSelection) subscription() (engine.Subscription, error) {
	var s engine.Subscription
	for _, filter := range l.filters {
		if len(filter.Values) > 0 && !filter.Not {
			s.AnyOf = append(s.AnyOf, engine.AnyOf{Key: filter.Key, Values: filter.Values})
			continue
		}
		m, err := filter.matcher()
		if err != nil {
			return s, err
		}
		s.Matchers = append(s.Matchers, m)
	}
	return s, nil
}

// parseLiveSelection reads the parameters that name series. A metric or source that is no name can't match anything.
func parseLiveSelection(p params) (l liveSelection, err error) {
	for _, list := range []struct{ parameter, key string }{{"metrics", model.NameKey}, {"sources", model.SourceKey}} {
		names, err := p.list(list.parameter)
		if err != nil {
			return l, err
		}
		if len(names) == 0 {
			continue
		}
		if len(names) > maxLiveNames {
			return l, limitExceeded("Too many "+list.parameter, list.parameter, maxLiveNames, int64(len(names)), "use tags, or several connections")
		}
		for _, name := range names {
			if err := model.CheckSeries(name, nil); err != nil {
				return l, invalidParameter(list.parameter, name, err.Error())
			}
		}
		l.filters = append(l.filters, tagFilter{Key: list.key, Values: names})
	}
	for _, given := range p["tags"] {
		filters, err := parseTagFilters(given)
		if err != nil {
			return l, invalidParameter("tags", given, err.Error())
		}
		if l.filters = append(l.filters, filters...); len(l.filters) > maxTagFilters {
			return l, invalidParameter("tags", given, "there are too many filters")
		}
	}
	if _, err := l.matchers(); err != nil {
		return l, invalidParameter("tags", p.get("tags"), err.Error())
	}
	return l, nil
}
