package lineproto

import (
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/internal/rawcache"
	"github.com/flopynet/collector/model"
)

// testNow is the time of lines that have none.
const testNow = int64(1_705_314_600_123_456_789)

// memoryResolver gives ids to series and has no retention but that of what can be stored.
type memoryResolver struct {
	ids    map[string]model.SeriesID
	series []model.Series // by id - 1
	epoch  uint64
	class  func(name, source string) engine.RetentionClass
	refuse func(name string) error
	fail   error
}

func newMemoryResolver() *memoryResolver { return &memoryResolver{ids: map[string]model.SeriesID{}} }

func (r *memoryResolver) Epoch() uint64 { return r.epoch }

func (r *memoryResolver) ResolveAll(list []engine.Resolution) error {
	if r.fail != nil {
		return r.fail
	}
	for i := range list {
		one := &list[i]
		if r.refuse != nil {
			one.Err = r.refuse(one.Name)
		}
		if one.Err == nil {
			one.ID = r.resolve(one.Name, one.Tags)
		}
	}
	return nil
}

func (r *memoryResolver) resolve(name string, tags model.Tags) model.SeriesID {
	identity := string(model.AppendIdentity(nil, name, tags))
	id := r.ids[identity]
	if id == 0 {
		id = model.SeriesID(len(r.series) + 1)
		r.ids[identity] = id
		r.series = append(r.series, model.Series{ID: id, Name: name, Tags: append(model.Tags(nil), tags...)})
	}
	return id
}

func (r *memoryResolver) RetentionClassOf(name, source string) engine.RetentionClass {
	if r.class != nil {
		return r.class(name, source)
	}
	return engine.RetentionClass{}
}

func (r *memoryResolver) CheckTime(_ engine.RetentionClass, ns int64) error {
	if ns < model.MinTime || ns >= model.MaxTime {
		return &engine.TimeError{Time: ns, Reason: "can't be stored"}
	}
	return nil
}

func newTestDecoder() *Decoder { return NewDecoder(NewCache(rawcache.Options{}), newMemoryResolver()) }

// outcome is what became of a body: samples and refusals as texts, in order.
type outcome struct {
	Samples, Refused []string
}

// decodeText decodes a body and lists the outcome.
func decodeText(t testing.TB, d *Decoder, body string, precision time.Duration) outcome {
	t.Helper()
	var batch engine.Batch
	report, err := d.Decode([]byte(body), int64(precision), testNow, &batch)
	if err != nil {
		t.Fatalf("%v\n%q", err, body)
	}
	series := d.resolver.(*memoryResolver).series
	times, values := column(&batch, "times"), column(&batch, "values")
	var out outcome
	for i, id := range idsOf(&batch) {
		s := series[id-1]
		out.Samples = append(out.Samples, sampleText(s.Name, s.Tags, times.Index(i).Int(), values.Index(i).Float()))
	}
	for _, r := range report.Errors {
		out.Refused = append(out.Refused, fmt.Sprintf("%d %s: %s", r.Line, r.Field, r.Reason))
	}
	if report.Accepted != batch.Len() || report.Rejected() < len(report.Errors) ||
		report.Rejected() <= maxErrors && report.Rejected() != len(report.Errors) {
		t.Fatalf("report %+v does not fit %d samples", report, batch.Len())
	}
	return out
}

// column is one of a batch's, which has no accessors of its own.
func column(batch *engine.Batch, name string) reflect.Value {
	return reflect.ValueOf(batch).Elem().FieldByName(name)
}

func idsOf(batch *engine.Batch) (ids []model.SeriesID) {
	list := column(batch, "ids")
	for i := range list.Len() {
		ids = append(ids, model.SeriesID(list.Index(i).Uint()))
	}
	return ids
}

func sampleText(name string, tags model.Tags, ns int64, value float64) string {
	text := fmt.Sprintf("%q", name)
	for _, tag := range tags {
		if tag.Key != model.SourceKey || tag.Value != "default" {
			text += fmt.Sprintf(" %q=%q", tag.Key, tag.Value)
		}
	}
	if math.Trunc(value) == value && math.Abs(value) < 1e6 {
		return fmt.Sprintf("%s @%d %v", text, ns, value)
	}
	return fmt.Sprintf("%s @%d %016x", text, ns, math.Float64bits(value))
}
