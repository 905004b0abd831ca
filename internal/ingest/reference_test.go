package ingest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/internal/timefmt"
	"github.com/flopynet/collector/model"
)

const testNow = int64(1_705_314_600_000_000_000) // 2024-01-15T10:30:00Z

// memoryResolver is the smallest thing that can be an engine.
type memoryResolver struct {
	ids    map[string]model.SeriesID
	series []model.Series
	err    error // returned by Resolve
	epoch  uint64
}

func newMemoryResolver() *memoryResolver {
	return &memoryResolver{ids: map[string]model.SeriesID{}}
}

func (r *memoryResolver) Resolve(name string, tags model.Tags) (model.SeriesID, error) {
	if r.err != nil {
		return 0, r.err
	}
	identity := model.AppendIdentity(nil, name, tags)
	if id := r.ids[string(identity)]; id != 0 {
		return id, nil
	}
	id := model.SeriesID(len(r.series) + 1)
	r.ids[string(identity)] = id
	name, tags, err := model.DecodeIdentity(identity)
	if err != nil {
		return 0, fmt.Errorf("tags that are not normalized: %w", err)
	}
	r.series = append(r.series, model.Series{ID: id, Name: name, Tags: tags})
	return id, nil
}

// oldestTestTime is the earliest time that a memoryResolver takes.
const oldestTestTime = int64(time.Hour)

var errTooOld = errors.New("timestamp is too old")

func (r *memoryResolver) Epoch() uint64 { return r.epoch }

func (r *memoryResolver) RetentionClassOf(string, string) (class engine.RetentionClass) { return class }

func (r *memoryResolver) CheckTime(_ engine.RetentionClass, ns int64) error {
	if ns < oldestTestTime {
		return errTooOld
	}
	return nil
}

// outcome is what is to be compared of a decoding.
type outcome struct {
	Samples  []string
	Units    []string
	Rejected []string
}

// readBatch lists what is in a batch, which has no accessors of its own.
func readBatch(batch *engine.Batch, series []model.Series) (samples, units []string) {
	fields := reflect.ValueOf(batch).Elem()
	ids, times, values := fields.FieldByName("ids"), fields.FieldByName("times"), fields.FieldByName("values")
	for i := range ids.Len() {
		s := series[ids.Index(i).Uint()-1]
		samples = append(samples, sampleText(s.Name, s.Tags, times.Index(i).Int(), values.Index(i).Float()))
	}
	changes := fields.FieldByName("units")
	for i := range changes.Len() {
		s := series[changes.Index(i).FieldByName("id").Uint()-1]
		units = append(units, seriesText(s.Name, s.Tags)+" "+changes.Index(i).FieldByName("unit").String())
	}
	return samples, units
}

func seriesText(name string, tags model.Tags) string {
	return fmt.Sprintf("%q%q", name, []model.Tag(tags))
}

func sampleText(name string, tags model.Tags, ns int64, value float64) string {
	return fmt.Sprintf("%s @%d %016x", seriesText(name, tags), ns, math.Float64bits(value))
}

// decodeBody decodes a body and lists the outcome.
func decodeBody(t testing.TB, d *Decoder, body []byte, shape Shape) (outcome, *Report, error) {
	t.Helper()
	var batch engine.Batch
	report, err := d.Decode(body, shape, testNow, &batch)
	if err != nil {
		if batch.Len() != 0 || report != nil {
			t.Fatalf("after %v, the batch has %d samples and the report is %v", err, batch.Len(), report)
		}
		return outcome{}, nil, err
	}
	var out outcome
	out.Samples, out.Units = readBatch(&batch, d.resolver.(*memoryResolver).series)
	for _, r := range report.Errors {
		out.Rejected = append(out.Rejected, fmt.Sprintf("%d/%d", r.Batch, r.Index))
	}
	if report.Accepted != batch.Len() || report.Rejected < len(report.Errors) || report.Rejected <= maxErrors && report.Rejected != len(report.Errors) {
		t.Fatalf("report %+v does not fit %d samples", report, batch.Len())
	}
	d.Commit()
	return out, report, nil
}

type refMember struct {
	key   string
	value any
}

type refObject []refMember

func (o refObject) last(key string) any {
	for i := len(o) - 1; i >= 0; i-- {
		if o[i].key == key {
			return o[i].value
		}
	}
	return nil
}

// refParse reads a value by means of encoding/json, keeping the order of members and duplicate keys.
func refParse(decoder *json.Decoder) any {
	token := refToken(decoder)
	switch token {
	case json.Delim('{'):
		object := refObject{}
		for decoder.More() {
			key := refParse(decoder).(string)
			object = append(object, refMember{key, refParse(decoder)})
		}
		refToken(decoder)
		return object
	case json.Delim('['):
		array := []any{}
		for decoder.More() {
			array = append(array, refParse(decoder))
		}
		refToken(decoder)
		return array
	}
	return token
}

// refToken reads a token of a text that has been found valid.
func refToken(decoder *json.Decoder) json.Token {
	token, err := decoder.Token()
	if err != nil {
		panic(err)
	}
	return token
}

// reference is a plain interpreter of the schema. It knows no caches, no raw bytes and no order of members.
type reference struct {
	out outcome
}

// errReference says that a body is bad as a whole.
var errReference = errors.New("bad body")

func (r *reference) decode(body []byte, shape Shape) (err error) {
	if !json.Valid(body) || !utf8.Valid(body) {
		return errReference
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	switch top := refParse(decoder).(type) {
	case []any:
		r.metrics(0, DefaultSource, testNow, nil, top)
		return nil
	case refObject:
		if shape == Metrics {
			return r.envelopes([]any{top})
		}
		if batches, ok := top.last("batches").([]any); ok && refIsBatchID(top.last("batch_id")) {
			return r.envelopes(batches)
		}
	}
	return errReference
}

func (r *reference) envelopes(list []any) error {
	for _, item := range list {
		e, ok := item.(refObject)
		if !ok || !isOneOf(e.last("source"), "") || !isOneOf(e.last("timestamp"), "", json.Number("")) || !refIsBatchID(e.last("batch_id")) {
			return errReference
		}
		if _, ok := e.last("metrics").([]any); !ok {
			return errReference
		}
	}
	for i, item := range list {
		e := item.(refObject)
		source, _ := e.last("source").(string)
		if source == "" {
			source = DefaultSource
		}
		ns, err := refTime(e.last("timestamp"), testNow, nil)
		r.metrics(i, source, ns, err, e.last("metrics").([]any))
	}
	return nil
}

func refIsBatchID(value any) bool {
	id, _ := value.(string)
	return isOneOf(value, "") && utf8.RuneCountInString(id) <= 255
}

func isOneOf(value any, examples ...any) bool {
	for _, example := range examples {
		if reflect.TypeOf(value) == reflect.TypeOf(example) {
			return true
		}
	}
	return value == nil
}

func refTime(value any, missing int64, missingErr error) (ns int64, err error) {
	switch v := value.(type) {
	case nil:
		return missing, missingErr
	case string:
		ns, err = timefmt.ParseTime(v, testNow)
	case json.Number:
		ns, err = timefmt.ParseNumber(v.String())
	default:
		return 0, errReference
	}
	if err == nil && ns < oldestTestTime {
		err = errTooOld
	}
	return ns, err
}

func (r *reference) metrics(batch int, source string, ns int64, timeErr error, list []any) {
	for i, item := range list {
		if !r.metric(item, source, ns, timeErr) {
			r.out.Rejected = append(r.out.Rejected, fmt.Sprintf("%d/%d", batch, i))
		}
	}
}

func (r *reference) metric(item any, source string, ns int64, timeErr error) bool {
	m, ok := item.(refObject)
	if !ok {
		return false
	}
	name, ok := m.last("name").(string)
	if !ok {
		return false
	}
	samples, ok := refSamples(m, ns, timeErr)
	if !ok {
		return false
	}
	if len(samples) == 0 {
		return true // there is nothing to be wrong about
	}
	if !isOneOf(m.last("source"), "") || !isOneOf(m.last("unit"), "") || !isOneOf(m.last("tags"), refObject{}) {
		return false
	}
	if own, _ := m.last("source").(string); own != "" {
		source = own
	}
	tags, ok := refTags(m, source)
	unit, hasUnit := m.last("unit").(string)
	if !ok || model.CheckSeries(name, tags) != nil || model.CheckUnit(unit) != nil {
		return false
	}
	for _, sample := range samples {
		r.out.Samples = append(r.out.Samples, sampleText(name, tags, sample.Time, sample.Value))
	}
	if hasUnit {
		// The last unit of a series counts, in the place of its first.
		prefix := seriesText(name, tags) + " "
		if i := slices.IndexFunc(r.out.Units, func(known string) bool { return strings.HasPrefix(known, prefix) }); i >= 0 {
			r.out.Units[i] = prefix + unit
		} else {
			r.out.Units = append(r.out.Units, prefix+unit)
		}
	}
	return true
}

func refSamples(m refObject, ns int64, timeErr error) ([]model.Sample, bool) {
	values := m.last("values")
	if values == nil {
		at, err := refTime(m.last("timestamp"), ns, timeErr)
		value, ok := refValue(m.last("value"))
		return []model.Sample{{Time: at, Value: value}}, ok && err == nil
	}
	list, ok := values.([]any)
	if !ok || m.last("value") != nil {
		return nil, false
	}
	var samples []model.Sample
	for _, item := range list {
		pair, ok := item.([]any)
		if !ok || len(pair) != 2 {
			return nil, false
		}
		at, err := refTime(pair[0], 0, errReference)
		value, ok := refValue(pair[1])
		if err != nil || !ok {
			return nil, false
		}
		samples = append(samples, model.Sample{Time: at, Value: value})
	}
	return samples, true
}

func refValue(value any) (float64, bool) {
	number, ok := value.(json.Number)
	if !ok {
		return 0, false
	}
	f, err := strconv.ParseFloat(number.String(), 64)
	return f, err == nil
}

func refTags(m refObject, source string) (model.Tags, bool) {
	object, _ := m.last("tags").(refObject)
	values := map[string]string{}
	for _, member := range object {
		switch v := member.value.(type) {
		case nil:
			values[member.key] = ""
		case string:
			values[member.key] = v
		case json.Number:
			values[member.key] = v.String()
		case bool:
			values[member.key] = strconv.FormatBool(v)
		default:
			return nil, false
		}
	}
	if renamed := values["source"]; renamed != "" {
		if values["exported_source"] != "" {
			return nil, false
		}
		values["exported_source"] = renamed
	}
	values["source"] = source
	var tags model.Tags
	for key, value := range values {
		tags = append(tags, model.Tag{Key: key, Value: value})
	}
	return model.Normalize(tags), true
}

// checkBody decodes a body with a new cache, with the cache that has then seen it, and with a decoder that
// has seen others, and compares each with the reference.
func checkBody(t testing.TB, body []byte, shape Shape, used *Decoder) {
	t.Helper()
	var want reference
	wantErr := want.decode(body, shape)
	if len(want.out.Rejected) > maxErrors {
		return
	}
	fresh := NewDecoder(NewCache(CacheOptions{MaxEntries: 64}), newMemoryResolver())
	for pass, d := range []*Decoder{fresh, fresh, used, used} {
		got, _, err := decodeBody(t, d, body, shape)
		if (err != nil) != (wantErr != nil) {
			t.Fatalf("pass %d: error %v, want %v\n%s", pass, err, wantErr, body)
		}
		if err != nil {
			checkBodyError(t, body, err)
			if pass == 0 && len(d.resolver.(*memoryResolver).series) > 0 {
				t.Fatalf("a bad body has made series\n%s", body)
			}
			continue
		}
		if pass > 0 {
			got.Units = want.out.Units // they are written until they are committed
		}
		if diff := cmp.Diff(want.out, got); diff != "" {
			t.Fatalf("pass %d (-want +got):\n%s\n%s", pass, diff, body)
		}
	}
	if made := len(fresh.resolver.(*memoryResolver).series); made > len(want.out.Samples) {
		t.Fatalf("%d series for %d samples\n%s", made, len(want.out.Samples), body)
	}
}

func checkBodyError(t testing.TB, body []byte, err error) {
	t.Helper()
	var syntax *SyntaxError
	var shape *ShapeError
	switch {
	case errors.As(err, &syntax):
		if json.Valid(body) && utf8.Valid(body) {
			t.Fatalf("%v, but it is valid\n%s", err, body)
		}
		if syntax.Offset > len(body) || syntax.Line != 1+bytes.Count(body[:syntax.Offset], []byte("\n")) ||
			syntax.Column != syntax.Offset-bytes.LastIndexByte(body[:syntax.Offset], '\n') {
			t.Fatalf("%+v: wrong position\n%s", syntax, body)
		}
	case errors.As(err, &shape):
		if !json.Valid(body) || !utf8.Valid(body) {
			t.Fatalf("%v, but it is not even JSON\n%s", err, body)
		}
	default:
		t.Fatalf("%T: %v\n%s", err, err, body)
	}
	if text := err.Error(); len(text) > 500 || !utf8.ValidString(text) || strings.Contains(text, "\n") {
		t.Fatalf("error text %q", text)
	}
}
