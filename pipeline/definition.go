package pipeline

import (
	"encoding/json"
	"time"

	"github.com/flopynet/collector/model"
)

// Definition is a pipeline as a client described it. Its JSON is what is stored.
type Definition struct {
	Name     string        `json:"name"`
	Steps    []Step        `json:"steps"`
	Output   Output        `json:"output"`
	Schedule time.Duration `json:"schedule,omitempty"` // 0: it runs once
	From     int64         `json:"from,omitempty"`     // in nanoseconds since the epoch; scheduled: where the first window begins, 0: now
	To       int64         `json:"to,omitempty"`       // of one that runs once
}

// Step is an operation of a pipeline: one of the pointers is set.
type Step struct {
	Given     json.RawMessage `json:"given,omitempty"` // as the client spelt it, for showing
	Filter    *Filter         `json:"filter,omitempty"`
	Aggregate *Aggregate      `json:"aggregate,omitempty"`
	Transform *Transform      `json:"transform,omitempty"`
	Fill      *Fill           `json:"fill,omitempty"`
	Sort      *Sort           `json:"sort,omitempty"`
	Limit     *Limit          `json:"limit,omitempty"`
	Threshold *Threshold      `json:"threshold,omitempty"`
}

// Filter keeps the series that satisfy all matchers. Only what a matcher was made of is stored.
type Filter struct {
	Matchers []*model.Matcher `json:"matchers"`
}

// Aggregate computes functions of each metric's samples by window and group.
type Aggregate struct {
	Window    time.Duration `json:"window,omitempty"` // 0: the whole range or, on a schedule, its period
	Functions []string      `json:"functions"`        // as engine.ParseFunction reads them
	GroupBy   []string      `json:"group_by,omitempty"`
	GroupAll  bool          `json:"group_all,omitempty"` // each set of tags is a group
}

// Transform computes a formula of each row. Its result is the row's value, and the column As if that is set.
type Transform struct {
	Formula string `json:"formula"`
	As      string `json:"as,omitempty"`
}

// The kinds of Fill.
const (
	FillNull     = "null"
	FillPrevious = "previous"
	FillLinear   = "linear"
	FillNumber   = "number"
)

// Fill adds a row for each window that a group has none of, and fills the gaps of all columns.
type Fill struct {
	Kind   string  `json:"kind"`
	Number float64 `json:"number,omitempty"` // of FillNumber
}

// Sort orders the rows by a column, or by timestamp; rows without a value come last.
type Sort struct {
	By         string `json:"by"`
	Descending bool   `json:"descending,omitempty"`
}

// Limit keeps the first Count rows.
type Limit struct {
	Count int `json:"count"`
}

// Threshold tells the rows whose Column is above Above or below Below. They are those that are kept or, with
// Mark, all rows are kept and say which bound they cross. A row without a value crosses none.
type Threshold struct {
	Column string   `json:"column"`
	Above  *float64 `json:"above,omitempty"`
	Below  *float64 `json:"below,omitempty"`
	Mark   bool     `json:"mark,omitempty"`
}

// The destinations of an Output.
const (
	ToResponse = "response"
	ToMetric   = "metric"
	ToWebhook  = "webhook"
)

// Output says where rows go.
type Output struct {
	Destination string `json:"destination"`

	URL    string `json:"url,omitempty"`    // of a webhook
	Secret string `json:"secret,omitempty"` // signs its bodies; never shown

	Metric string     `json:"metric,omitempty"` // that each row's value is written to
	Source string     `json:"source,omitempty"` // of that series; "": the group's, else "pipeline"
	Tags   model.Tags `json:"tags,omitempty"`   // of that series, beside the group's
}

// FieldError says what is wrong with a definition.
type FieldError struct {
	Path       string // of the field, such as pipeline[2].params.formula
	Given      string
	Issue      string
	Known      []string // what would have been known in its place; nil: no such list
	Candidates []string // what an ambiguous name may mean
}

func (e *FieldError) Error() string { return e.Path + ": " + e.Issue }
