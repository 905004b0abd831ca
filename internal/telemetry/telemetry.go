package telemetry

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// Telemetry holds the collector's own metrics.
type Telemetry struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	times    *prometheus.HistogramVec
}

// New returns metrics of a store, of the HTTP requests it is told of, of the Go runtime and of the process.
func New(stats func() engine.Stats, version string) *Telemetry {
	t := &Telemetry{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "collector_http_requests_total", Help: "HTTP requests that were answered, by route and status.",
		}, []string{"method", "route", "status"}),
		times: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "collector_http_request_duration_seconds", Help: "How long HTTP requests took to be handled, by route.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"method", "route"}),
	}
	build := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "collector_build_info", Help: "1, with the collector's version.", ConstLabels: prometheus.Labels{"version": version},
	}, func() float64 { return 1 })
	t.registry.MustRegister(build, storeCollector{stats}, t.requests, t.times,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return t
}

// ObserveRequest counts an HTTP request. There must be few routes: patterns, not paths.
func (t *Telemetry) ObserveRequest(method, route string, status int, took time.Duration) {
	t.requests.WithLabelValues(method, route, strconv.Itoa(status)).Inc()
	t.times.WithLabelValues(method, route).Observe(took.Seconds())
}

// Write writes all metrics in the best of the formats that an Accept header names, and returns its media type.
func (t *Telemetry) Write(w io.Writer, accept string) (contentType string, err error) {
	families, err := t.registry.Gather()
	if err != nil {
		return "", fmt.Errorf("gather the collector's own metrics: %w", err)
	}
	format := expfmt.NegotiateAccept(http.Header{"Accept": {accept}}, expfmt.DefaultOpenMetricsAcceptedFormats()...)
	if format.FormatType() == expfmt.TypeOpenMetrics {
		families = distinct(families)
	}
	encoder := expfmt.NewEncoder(w, format)
	for _, family := range families {
		if err := encoder.Encode(family); err != nil {
			return "", fmt.Errorf("write the metric %s: %w", family.GetName(), err)
		}
	}
	if closer, ok := encoder.(expfmt.Closer); ok {
		err = closer.Close()
	}
	return string(format), err
}

// distinct leaves out counters that have another family's name when their _total is taken off, as OpenMetrics
// does: go_memstats_alloc_bytes_total is one, and strict parsers refuse the whole text for it.
func distinct(families []*dto.MetricFamily) []*dto.MetricFamily {
	names := map[string]bool{}
	for _, family := range families {
		names[family.GetName()] = true
	}
	return slices.DeleteFunc(families, func(family *dto.MetricFamily) bool {
		name, counts := strings.CutSuffix(family.GetName(), "_total")
		return counts && family.GetType() == dto.MetricType_COUNTER && names[name]
	})
}

// Sample is the value of one metric now.
type Sample struct {
	Name  string
	Unit  string // "" where there is none
	Tags  model.Tags
	Value float64
}

// Samples returns all metrics as they are now. Of histograms and summaries it has their sums and counts: the
// number of samples is bounded by that of routes and statuses.
func (t *Telemetry) Samples() ([]Sample, error) {
	families, err := t.registry.Gather()
	if err != nil {
		return nil, fmt.Errorf("gather the collector's own metrics: %w", err)
	}
	var samples []Sample
	for _, family := range families {
		name := family.GetName()
		for _, metric := range family.GetMetric() {
			tags := tagsOf(metric)
			add := func(name, unit string, value float64) {
				samples = append(samples, Sample{Name: name, Unit: unit, Tags: tags, Value: value})
			}
			switch {
			case metric.Counter != nil:
				add(name, unitOf(name), metric.Counter.GetValue())
			case metric.Gauge != nil:
				add(name, unitOf(name), metric.Gauge.GetValue())
			case metric.Untyped != nil:
				add(name, unitOf(name), metric.Untyped.GetValue())
			case metric.Histogram != nil:
				add(name+"_sum", unitOf(name), metric.Histogram.GetSampleSum())
				add(name+"_count", "", float64(metric.Histogram.GetSampleCount()))
			case metric.Summary != nil:
				add(name+"_sum", unitOf(name), metric.Summary.GetSampleSum())
				add(name+"_count", "", float64(metric.Summary.GetSampleCount()))
			}
		}
	}
	return samples, nil
}

func tagsOf(metric *dto.Metric) model.Tags {
	var tags model.Tags
	for _, label := range metric.GetLabel() {
		tags = append(tags, model.Tag{Key: label.GetName(), Value: label.GetValue()})
	}
	return tags
}

// unitOf returns the unit that a name ends with, as Prometheus has it.
func unitOf(name string) string {
	name = strings.TrimSuffix(name, "_total")
	unit := name[strings.LastIndexByte(name, '_')+1:]
	if slices.Contains([]string{"seconds", "bytes", "ratio"}, unit) {
		return unit
	}
	return ""
}

// Asks reports whether an Accept header asks for the exposition format, as a scraper's does, and a browser's
// or curl's does not.
func Asks(accept string) bool {
	for part := range strings.SplitSeq(accept, ",") {
		kind, parameters, _ := strings.Cut(strings.TrimSpace(part), ";")
		switch strings.ToLower(strings.TrimSpace(kind)) {
		case "application/openmetrics-text":
			return true
		case "text/plain":
			if strings.Contains(strings.ReplaceAll(parameters, " ", ""), "version=") {
				return true
			}
		}
	}
	return false
}
