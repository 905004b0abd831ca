package httpapi

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/flopynet/collector/pipeline"
)

func pipelineRoutes() []route {
	return []route{
		{method: fasthttp.MethodPost, path: "/metrics/pipeline", about: "run a pipeline, once or on a schedule", role: roleRead, mutates: true, query: true,
			handler: (*Server).postPipeline},
		{method: fasthttp.MethodGet, path: "/metrics/pipelines", about: "the pipelines there are", role: roleRead, handler: (*Server).getPipelines},
		{method: fasthttp.MethodGet, path: "/metrics/pipelines/{name}", about: "a pipeline", role: roleRead, handler: (*Server).getPipeline},
		{method: fasthttp.MethodDelete, path: "/metrics/pipelines/{name}", about: "end a pipeline and forget its runs", role: roleAdmin, mutates: true,
			handler: (*Server).deletePipeline},
		{method: fasthttp.MethodGet, path: "/metrics/pipelines/{name}/runs", about: "the last runs of a pipeline, and their deliveries", role: roleRead,
			handler: (*Server).getPipelineRuns},
	}
}

// SetPipelines gives the server the pipelines, which it does not own. It is to be called before Serve; without,
// there are none, and the endpoints answer 503.
func (s *Server) SetPipelines(m *pipeline.Manager) { s.pipelines = m }

// manager returns the pipelines.
func (s *Server) manager() (*pipeline.Manager, error) {
	if s.pipelines == nil {
		return nil, newError(fasthttp.StatusServiceUnavailable, "Service unavailable", detail{"issue", "pipelines are not running"})
	}
	return s.pipelines, nil
}

// postPipeline answers POST /metrics/pipeline.
func (s *Server) postPipeline(r *request) error {
	if err := r.noParams(); err != nil {
		return err
	}
	m, err := s.manager()
	if err != nil {
		return err
	}
	var body pipelineBody
	if err := decodeBody(r, &body); err != nil {
		return err
	}
	d, err := body.definition(r.received.UnixNano())
	if err != nil {
		return err
	}
	notAdmin := r.requireRole(roleAdmin)
	if d.Output.Destination != pipeline.ToResponse && notAdmin != nil {
		return notAdmin
	}
	ctx, cancel := r.context(s.options.QueryTimeout)
	defer cancel()
	answer, err := m.Submit(ctx, d, notAdmin == nil)
	if err != nil {
		return pipelineError(err)
	}
	if d.Output.Destination != pipeline.ToResponse {
		s.logger.Info("a pipeline was defined", "pipeline", d.Name, "status", answer.Status, "destination", d.Output.Destination,
			"by", r.keyName(), "request_id", r.id)
	}
	r.respondLarge(typeJSON, appendPipelineAnswer(nil, answer, &d))
	if answer.Created {
		r.http.SetStatusCode(fasthttp.StatusCreated)
	}
	return nil
}

func appendPipelineAnswer(dst []byte, a *pipeline.Answer, d *pipeline.Definition) []byte {
	dst = append(dst, `{"id":`...)
	dst = appendJSONString(dst, a.ID)
	dst = append(dst, `,"name":`...)
	dst = appendJSONString(dst, a.Name)
	dst = append(dst, `,"status":`...)
	dst = appendJSONString(dst, a.Status)
	rows := 0
	if a.Table == nil {
		dst = append(dst, `,"rows":[]`...)
	} else {
		dst = a.Table.AppendJSON(append(dst, `,"rows":`...))
		rows = len(a.Table.Rows)
	}
	dst = strconv.AppendInt(append(dst, `,"row_count":`...), int64(rows), 10)
	output := viewOutput(&d.Output, true)
	switch {
	case a.Delivery != "":
		output.DeliveryID, output.Status = a.Delivery, pipeline.DeliveryPending
	case a.Run != nil && d.Output.Destination == pipeline.ToMetric:
		output.SamplesWritten = &a.Written
	}
	dst = appendJSON(append(dst, `,"output":`...), output)
	rest := struct {
		RunID    *string  `json:"run_id"`
		From     *string  `json:"from"`
		To       *string  `json:"to"`
		NextRun  *string  `json:"next_run"`
		Warnings []string `json:"warnings"`
	}{NextRun: orNull(a.NextRun), Warnings: orEmpty(a.Warnings)}
	if run := a.Run; run != nil {
		from, to := formatTime(run.From), formatTime(run.To)
		rest.RunID, rest.From, rest.To = &run.ID, &from, &to
	}
	dst = append(dst, ',')
	return append(append(dst, appendJSON(nil, rest)[1:]...), '\n')
}

// pipelineError gives the errors of pipelines their answers; those of the engine have theirs.
func pipelineError(err error) error {
	if fault, ok := errors.AsType[*pipeline.FieldError](err); ok {
		details := []detail{{"field", clip(fault.Path)}, {"given", clip(fault.Given)}, {"issue", fault.Issue}}
		if nearest := nearestName(fault.Given, fault.Known); nearest != "" {
			details = append(details, detail{"nearest", nearest})
		}
		if fault.Known != nil {
			details = append(details, detail{"valid", fault.Known})
		}
		if fault.Candidates != nil {
			details = append(details, detail{"candidates", fault.Candidates})
		}
		return invalidRequest("Invalid field "+clip(fault.Path), details...)
	}
	switch {
	case errors.Is(err, pipeline.ErrUnknown):
		return newError(fasthttp.StatusNotFound, "There is no such pipeline", detail{"issue", "GET /metrics/pipelines lists those there are"})
	case errors.Is(err, pipeline.ErrForbidden):
		return newError(fasthttp.StatusForbidden, "The key doesn't allow this", detail{"issue", err.Error()})
	case errors.Is(err, pipeline.ErrQueueFull):
		failure := newError(fasthttp.StatusServiceUnavailable, "Service unavailable", detail{"issue", err.Error()})
		failure.retryAfter = 60
		return failure
	}
	return err
}

// getPipelines answers GET /metrics/pipelines.
func (s *Server) getPipelines(r *request) error {
	m, err := s.manager()
	if err == nil {
		err = r.noParams()
	}
	if err != nil {
		return err
	}
	admin := r.requireRole(roleAdmin) == nil
	views := []pipelineView{}
	for _, view := range m.List() {
		views = append(views, viewPipeline(&view, admin))
	}
	r.respondValue(fasthttp.StatusOK, map[string]any{"pipelines": views, "total": len(views)})
	return nil
}

// pipelineName is the part of the path that names the pipeline.
func (r *request) pipelineName() string {
	name, _ := r.http.UserValue("name").(string)
	return strings.Clone(name)
}

// getPipeline answers GET /metrics/pipelines/{name}.
func (s *Server) getPipeline(r *request) error {
	m, err := s.manager()
	if err == nil {
		err = r.noParams()
	}
	if err != nil {
		return err
	}
	view, err := m.Get(r.pipelineName())
	if err != nil {
		return pipelineError(err)
	}
	r.respondValue(fasthttp.StatusOK, viewPipeline(&view, r.requireRole(roleAdmin) == nil))
	return nil
}

// deletePipeline answers DELETE /metrics/pipelines/{name}.
func (s *Server) deletePipeline(r *request) error {
	m, err := s.manager()
	if err == nil {
		err = r.noParams()
	}
	if err != nil {
		return err
	}
	name := r.pipelineName()
	cancelled, err := m.Delete(name)
	if err != nil {
		return pipelineError(err)
	}
	s.logger.Info("a pipeline was deleted", "pipeline", name, "deliveries_cancelled", cancelled, "by", r.keyName(), "request_id", r.id)
	r.respondValue(fasthttp.StatusOK, map[string]any{"status": "success", "name": name, "deliveries_cancelled": cancelled})
	return nil
}

// maxPipelineRuns is how many runs are kept of a pipeline, and so listed at most.
const maxPipelineRuns = 50

// getPipelineRuns answers GET /metrics/pipelines/{name}/runs.
func (s *Server) getPipelineRuns(r *request) error {
	m, err := s.manager()
	if err != nil {
		return err
	}
	p, err := parseParams(r.http.QueryArgs(), paramSet{"limit": false})
	if err != nil {
		return err
	}
	limit, err := p.integer("limit", 1, maxPipelineRuns, maxPipelineRuns)
	if err != nil {
		return err
	}
	runs, err := m.Runs(r.pipelineName())
	if err != nil {
		return pipelineError(err)
	}
	views := []pipelineRun{}
	for _, run := range runs[:min(limit, len(runs))] {
		views = append(views, viewRun(&run))
	}
	r.respondValue(fasthttp.StatusOK, map[string]any{"name": r.pipelineName(), "runs": views, "total": len(runs)})
	return nil
}

// formatDuration spells a duration as the API reads it, in the largest unit that divides it.
func formatDuration(d time.Duration) string {
	for _, unit := range []struct {
		name  string
		width time.Duration
	}{{"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}} {
		if d%unit.width == 0 {
			return fmt.Sprint(int64(d/unit.width), unit.name)
		}
	}
	return fmt.Sprint(d.Milliseconds(), "ms")
}
