package httpapi

import (
	"encoding/json"

	"github.com/flopynet/collector/pipeline"
)

// pipelineView is a pipeline as the API shows it: without the secret and, to who is no admin, without what
// follows the host of a webhook's address, which is often a secret too.
type pipelineView struct {
	ID                string            `json:"id"`
	Name              string            `json:"name"`
	Status            string            `json:"status"` // completed, scheduled or failing
	Schedule          *string           `json:"schedule"`
	Created           string            `json:"created"`
	Updated           string            `json:"updated"`
	ProcessedThrough  *string           `json:"processed_through"` // of a scheduled one: all windows before it are done
	NextRun           *string           `json:"next_run"`
	PendingDeliveries int               `json:"pending_deliveries"`
	LastRun           *pipelineRun      `json:"last_run"`
	Pipeline          []json.RawMessage `json:"pipeline"`
	Output            pipelineOutput    `json:"output"`
}

// pipelineOutput is where rows go, and what became of those of a request.
type pipelineOutput struct {
	Destination    string            `json:"destination"`
	URL            string            `json:"url,omitempty"`
	Signed         *bool             `json:"signed,omitempty"`
	DeliveryID     string            `json:"delivery_id,omitempty"`
	Status         string            `json:"status,omitempty"`
	Metric         string            `json:"metric,omitempty"`
	Source         string            `json:"source,omitempty"`
	Tags           map[string]string `json:"tags,omitempty"`
	SamplesWritten *int              `json:"samples_written,omitempty"`
}

// pipelineRun is a run with its delivery.
type pipelineRun struct {
	RunID          string            `json:"run_id"`
	Status         string            `json:"status"`  // completed or failed
	Trigger        string            `json:"trigger"` // request or schedule
	From           string            `json:"from"`
	To             string            `json:"to"`
	Started        string            `json:"started"`
	DurationMS     float64           `json:"duration_ms"`
	RowCount       int               `json:"row_count"`
	SamplesWritten int               `json:"samples_written"`
	Tries          int               `json:"tries"`
	Error          *string           `json:"error_message"`
	Warnings       []string          `json:"warnings"`
	Delivery       *pipelineDelivery `json:"delivery"`
}

// pipelineDelivery tells of rows on their way to a webhook.
type pipelineDelivery struct {
	ID          string  `json:"id"`
	Status      string  `json:"status"` // pending, delivered, failed or cancelled
	Bytes       int     `json:"bytes"`
	Created     string  `json:"created"`
	Attempts    int     `json:"attempts"`
	LastAttempt *string `json:"last_attempt"`
	LastStatus  *int    `json:"last_status"` // of HTTP
	LastError   *string `json:"last_error"`
	NextTry     *string `json:"next_try"`
}

func viewPipeline(v *pipeline.View, admin bool) pipelineView {
	view := pipelineView{
		ID: v.ID, Name: v.Definition.Name, Status: v.Status, Created: formatTime(v.Created), Updated: formatTime(v.Updated),
		PendingDeliveries: v.Pending, Pipeline: make([]json.RawMessage, len(v.Definition.Steps)),
		Output: viewOutput(&v.Definition.Output, admin),
	}
	for i, step := range v.Definition.Steps {
		view.Pipeline[i] = step.Given
	}
	if v.Definition.Output.Destination == pipeline.ToWebhook {
		view.Output.Signed = &v.Signed
	}
	if v.Definition.Schedule != 0 {
		schedule := formatDuration(v.Definition.Schedule)
		view.Schedule = &schedule
		view.ProcessedThrough, view.NextRun = orNull(v.Position), orNull(v.NextRun)
	}
	if v.LastRun != nil {
		run := viewRun(v.LastRun)
		view.LastRun = &run
	}
	return view
}

func viewOutput(o *pipeline.Output, admin bool) pipelineOutput {
	view := pipelineOutput{Destination: o.Destination, URL: o.URL, Metric: o.Metric, Source: o.Source}
	if !admin && o.URL != "" {
		view.URL = o.Origin() + "/..."
	}
	for _, tag := range o.Tags {
		if view.Tags == nil {
			view.Tags = map[string]string{}
		}
		view.Tags[tag.Key] = tag.Value
	}
	return view
}

func viewRun(r *pipeline.RunView) pipelineRun {
	view := pipelineRun{
		RunID: r.ID, Status: r.Status, Trigger: "request", From: formatTime(r.From), To: formatTime(r.To), Started: formatTime(r.Started),
		DurationMS: milliseconds(r.Took), RowCount: r.Rows, SamplesWritten: r.Written, Tries: r.Tries, Warnings: orEmpty(r.Warnings),
	}
	if r.Scheduled {
		view.Trigger = "schedule"
	}
	if r.Error != "" {
		view.Error = &r.Error
	}
	if d := r.Delivery; d != nil {
		view.Delivery = &pipelineDelivery{ID: d.ID, Status: d.Status, Bytes: d.Bytes, Created: formatTime(d.Created), Attempts: d.Attempts,
			LastAttempt: orNull(d.LastAttempt), NextTry: orNull(d.NextTry)}
		if d.LastStatus != 0 {
			view.Delivery.LastStatus = &d.LastStatus
		}
		if d.LastError != "" {
			view.Delivery.LastError = &d.LastError
		}
	}
	return view
}

// orNull returns a time as the API spells it, or nil for 0.
func orNull(ns int64) *string {
	if ns == 0 {
		return nil
	}
	text := formatTime(ns)
	return &text
}

// orEmpty makes an empty JSON array of what would be null.
func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
