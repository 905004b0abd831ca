package remotewrite

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/internal/rawcache"
	"github.com/flopynet/collector/model"
)

// memoryResolver is the smallest thing that can be an engine.
type memoryResolver struct {
	ids    map[string]model.SeriesID
	series []model.Series
	epoch  uint64
	err    error // returned by Resolve
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

// outcome is what came of a body, as text.
type outcome struct {
	Samples, Units, Rejected          []string
	RejectedSamples, Hists, Exemplars int
}

// readBatch lists the samples and the units of a batch.
func readBatch(batch *engine.Batch, series []model.Series) (samples, units []string) {
	fields := reflect.ValueOf(batch).Elem()
	ids, times, values := fields.FieldByName("ids"), fields.FieldByName("times"), fields.FieldByName("values")
	for i := range ids.Len() {
		s := series[ids.Index(i).Uint()-1]
		samples = append(samples, fmt.Sprintf("%s @%d %016x", seriesText(s.Name, s.Tags), times.Index(i).Int(), math.Float64bits(values.Index(i).Float())))
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

// decodeBody decodes a body and lists the outcome.
func decodeBody(t testing.TB, d *Decoder, body []byte, version Version) (outcome, error) {
	t.Helper()
	var batch engine.Batch
	report, err := d.Decode(body, version, &batch)
	if err != nil {
		if batch.Len() != 0 || report != nil {
			t.Fatalf("after %v, the batch has %d samples and the report is %v", err, batch.Len(), report)
		}
		return outcome{}, err
	}
	out := outcome{RejectedSamples: report.Rejected, Hists: report.Histograms, Exemplars: report.Exemplars}
	out.Samples, out.Units = readBatch(&batch, d.resolver.(*memoryResolver).series)
	for _, r := range report.Errors {
		out.Rejected = append(out.Rejected, fmt.Sprint(r.Index))
	}
	if report.Samples != batch.Len() || report.Complete() != (len(report.Errors) == 0) {
		t.Fatalf("report %+v does not fit %d samples", report, batch.Len())
	}
	return out, nil
}

// protocol has the messages as a library for protobuf knows them. Strings are bytes there, as they needn't be UTF-8 to be
// read, and so is what is skipped.
var protocol = sync.OnceValue(func() protoreflect.FileDescriptor {
	const (
		one, many = descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL, descriptorpb.FieldDescriptorProto_LABEL_REPEATED
		text      = descriptorpb.FieldDescriptorProto_TYPE_BYTES
		integer   = descriptorpb.FieldDescriptorProto_TYPE_INT64
		reference = descriptorpb.FieldDescriptorProto_TYPE_UINT32
		double    = descriptorpb.FieldDescriptorProto_TYPE_DOUBLE
		message   = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE
	)
	field := func(name string, number int32, label descriptorpb.FieldDescriptorProto_Label, kind descriptorpb.FieldDescriptorProto_Type, of string) *descriptorpb.FieldDescriptorProto {
		f := &descriptorpb.FieldDescriptorProto{Name: &name, Number: &number, Label: &label, Type: &kind}
		if of != "" {
			f.TypeName = proto.String(".t." + of)
		}
		return f
	}
	of := func(name string, fields ...*descriptorpb.FieldDescriptorProto) *descriptorpb.DescriptorProto {
		return &descriptorpb.DescriptorProto{Name: &name, Field: fields}
	}
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("t.proto"), Package: proto.String("t"), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{
			of("Sample", field("value", 1, one, double, ""), field("timestamp", 2, one, integer, "")),
			of("Label", field("name", 1, one, text, ""), field("value", 2, one, text, "")),
			of("Family", field("name", 2, one, text, ""), field("unit", 5, one, text, "")),
			of("Series1", field("labels", 1, many, message, "Label"), field("samples", 2, many, message, "Sample"),
				field("exemplars", 3, many, text, ""), field("histograms", 4, many, text, "")),
			of("Request1", field("timeseries", 1, many, message, "Series1"), field("metadata", 3, many, message, "Family")),
			of("Metadata", field("unit_ref", 4, one, reference, "")),
			of("Series2", field("labels_refs", 1, many, reference, ""), field("samples", 2, many, message, "Sample"),
				field("histograms", 3, many, text, ""), field("exemplars", 4, many, text, ""), field("metadata", 5, one, message, "Metadata")),
			of("Request2", field("symbols", 4, many, text, ""), field("timeseries", 5, many, message, "Series2")),
		},
	}, nil)
	if err != nil {
		panic(err)
	}
	return file
})

// fieldOf returns a field of a message.
func fieldOf(m protoreflect.Message, name protoreflect.Name) protoreflect.Value {
	return m.Get(m.Descriptor().Fields().ByName(name))
}

// list calls each with the elements of a repeated field.
func list(m protoreflect.Message, name protoreflect.Name, each func(i int, element protoreflect.Value)) int {
	elements := fieldOf(m, name).List()
	for i := range elements.Len() {
		each(i, elements.Get(i))
	}
	return elements.Len()
}

// expect says what should come of a body, by simpler means. ok is false if it is malformed.
func expect(body []byte, version Version) (out outcome, ok bool) {
	m := dynamicpb.NewMessage(protocol().Messages().ByName([]protoreflect.Name{"Request1", "Request2"}[version]))
	if proto.Unmarshal(body, m) != nil {
		return out, false
	}
	if isOfOther(m, version) {
		return out, false
	}
	var symbols []string
	if version == V2 {
		list(m, "symbols", func(_ int, symbol protoreflect.Value) { symbols = append(symbols, string(symbol.Bytes())) })
	}
	list(m, "timeseries", func(i int, series protoreflect.Value) {
		var labels []model.Tag
		unit, bad := "", false
		if version == V1 {
			list(series.Message(), "labels", func(_ int, label protoreflect.Value) {
				labels = append(labels, model.Tag{Key: string(fieldOf(label.Message(), "name").Bytes()), Value: string(fieldOf(label.Message(), "value").Bytes())})
			})
		} else {
			labels, unit, bad = resolveReferences(series.Message(), symbols)
		}
		out.series(i, series.Message(), labels, unit, bad)
	})
	if version == V1 {
		list(m, "metadata", func(i int, family protoreflect.Value) {
			name, unit := fieldOf(family.Message(), "name").Bytes(), string(fieldOf(family.Message(), "unit").Bytes())
			if len(name) <= model.MaxNameBytes && model.CheckUnit(unit) != nil {
				out.Rejected = append(out.Rejected, fmt.Sprint(i))
			}
		})
	}
	return out, true
}

// isOfOther reports whether a message has fields of the other version and nothing of its own.
func isOfOther(m protoreflect.Message, version Version) bool {
	own := fieldOf(m, "timeseries").List().Len()
	if version == V1 {
		own += fieldOf(m, "metadata").List().Len()
	}
	other := false
	for unknown := m.GetUnknown(); len(unknown) > 0; {
		number, kind, n := protowire.ConsumeTag(unknown)
		n += protowire.ConsumeFieldValue(number, kind, unknown[n:])
		isOther := number == 1
		if version == V1 {
			isOther = number == 4 || number == 5
		}
		other = other || isOther && kind == protowire.BytesType
		unknown = unknown[n:]
	}
	return other && own == 0
}

// resolveReferences puts the symbols in the place of a series' references.
func resolveReferences(series protoreflect.Message, symbols []string) (labels []model.Tag, unit string, bad bool) {
	var texts []string
	count := list(series, "labels_refs", func(_ int, reference protoreflect.Value) {
		if reference.Uint() < uint64(len(symbols)) {
			texts = append(texts, symbols[reference.Uint()])
		}
	})
	bad = len(texts) < count || count%2 != 0
	for i := 0; i+1 < len(texts); i += 2 {
		labels = append(labels, model.Tag{Key: texts[i], Value: texts[i+1]})
		bad = bad || len(texts[i]) > model.MaxTagKeyBytes || len(texts[i+1]) > model.MaxTagValueBytes
	}
	bad = bad || len(labels) > maxLabels
	if reference := fieldOf(fieldOf(series, "metadata").Message(), "unit_ref").Uint(); reference >= uint64(len(symbols)) && reference > 0 {
		bad = true
	} else if reference > 0 {
		unit = symbols[reference]
	}
	return labels, unit, bad
}

// series adds what should come of a series.
func (o *outcome) series(index int, series protoreflect.Message, labels []model.Tag, unit string, bad bool) {
	reject := func(samples int) {
		o.RejectedSamples += samples
		o.Rejected = append(o.Rejected, fmt.Sprint(index))
	}
	var samples []protoreflect.Message
	list(series, "samples", func(_ int, s protoreflect.Value) { samples = append(samples, s.Message()) })
	ignore := func(int, protoreflect.Value) {}
	o.Exemplars += list(series, "exemplars", ignore)
	if bad {
		reject(len(samples))
		return
	}
	if n := list(series, "histograms", ignore); n > 0 {
		o.Hists += n
		o.Rejected = append(o.Rejected, fmt.Sprint(index))
	}
	if len(samples) == 0 {
		return
	}
	name, tags, ok := sortOut(labels)
	if !ok {
		reject(len(samples))
		return
	}
	stored := 0
	for _, s := range samples {
		ms := fieldOf(s, "timestamp").Int()
		if ms < oldestTestTime/1e6 || ms > model.MaxTime/1e6 {
			reject(1)
			continue
		}
		stored++
		o.Samples = append(o.Samples, fmt.Sprintf("%s @%d %016x", seriesText(name, tags), ms*1e6, math.Float64bits(fieldOf(s, "value").Float())))
	}
	switch {
	case stored == 0 || unit == "":
	case model.CheckUnit(unit) != nil:
		o.Rejected = append(o.Rejected, fmt.Sprint(index))
	default:
		prefix := seriesText(name, tags) + " "
		if at := slices.IndexFunc(o.Units, func(u string) bool { return strings.HasPrefix(u, prefix) }); at >= 0 {
			o.Units[at] = prefix + unit
		} else {
			o.Units = append(o.Units, prefix+unit)
		}
	}
}

// sortOut makes a series of labels.
func sortOut(labels []model.Tag) (name string, tags model.Tags, ok bool) {
	if len(labels) > maxLabels {
		return "", nil, false
	}
	source, job := "", ""
	for i, label := range labels {
		if label.Key == "" || slices.ContainsFunc(labels[:i], func(other model.Tag) bool { return other.Key == label.Key }) {
			return "", nil, false
		}
		switch label.Key {
		case "__name__":
			name = label.Value
			continue
		case "source":
			source = label.Value
		case "job":
			job = label.Value
		}
		tags = append(tags, label)
	}
	if source == "" {
		tags = append(tags, model.Tag{Key: "source", Value: job})
		if job == "" {
			tags[len(tags)-1].Value = "default"
		}
	}
	slices.SortStableFunc(tags, func(a, b model.Tag) int { return strings.Compare(a.Key, b.Key) })
	tags = slices.DeleteFunc(tags, func(tag model.Tag) bool { return tag.Value == "" })
	return name, tags, model.CheckSeries(name, tags) == nil
}

// checkBody holds decoders, one without and one with a past, against what should come of a body.
func checkBody(t testing.TB, body []byte, version Version, used *Decoder) {
	t.Helper()
	want, valid := expect(body, version)
	fresh := NewDecoder(NewCache(rawcache.Options{MaxEntries: 64}), newMemoryResolver())
	for pass, d := range []*Decoder{fresh, fresh, used, used} {
		got, err := decodeBody(t, d, body, version)
		if _, malformed := errors.AsType[*SyntaxError](err); malformed != (err != nil) || malformed == valid {
			t.Fatalf("pass %d: error %v, want one: %t\n%q", pass, err, !valid, body)
		}
		if !valid {
			if len(fresh.resolver.(*memoryResolver).series) > 0 {
				t.Fatalf("a malformed body made series: %q", body)
			}
			continue
		}
		if pass > 0 { // the cache knows units
			got.Units = want.Units
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("pass %d of %q (-want +got):\n%s", pass, body, diff)
		}
		d.Commit()
	}
}

// message appends fields of bytes to each other: pairs of a number and a content.
func message(pairs ...any) []byte {
	var out []byte
	for i := 0; i < len(pairs); i += 2 {
		out = protowire.AppendTag(out, protowire.Number(pairs[i].(int)), protowire.BytesType)
		switch content := pairs[i+1].(type) {
		case []byte:
			out = protowire.AppendBytes(out, content)
		case string:
			out = protowire.AppendString(out, content)
		}
	}
	return out
}

// point is a message of type Sample.
func point(ms int64, value float64) []byte {
	out := protowire.AppendFixed64([]byte{keyFixed1}, math.Float64bits(value))
	return protowire.AppendVarint(append(out, keyVarint2), uint64(ms))
}

// seriesV1 is a message of type TimeSeries of version 1; labels are "name=value", separated by commas.
func seriesV1(labels string, rest ...any) []byte {
	var out []byte
	for _, label := range strings.Split(labels, ",") {
		if name, value, ok := strings.Cut(label, "="); ok {
			out = append(out, message(1, message(1, name, 2, value))...)
		}
	}
	return append(out, message(rest...)...)
}

// requestV2 is a request of version 2 of a series for each of the labels, each with the rest behind them.
func requestV2(unit string, labels []string, rest ...any) []byte {
	symbols := []string{""}
	reference := func(text string) uint64 {
		at := slices.Index(symbols, text)
		if at < 0 {
			at = len(symbols)
			symbols = append(symbols, text)
		}
		return uint64(at)
	}
	var all []byte
	for _, list := range labels {
		var references []byte
		for _, label := range strings.Split(list, ",") {
			name, value, _ := strings.Cut(label, "=")
			references = protowire.AppendVarint(references, reference(name))
			references = protowire.AppendVarint(references, reference(value))
		}
		series := message(append([]any{1, references}, rest...)...)
		series = append(series, message(5, protowire.AppendVarint([]byte{keyVarint4}, reference(unit)))...)
		all = append(all, message(5, series)...)
	}
	var out []byte
	for _, symbol := range symbols {
		out = append(out, message(4, symbol)...)
	}
	return append(out, all...)
}

const testMS = 1_705_314_600_000 // 2024-01-15T10:30:00Z

// seeds are bodies to begin with.
func seeds() (bodies [][]byte, versions []Version) {
	add := func(version Version, body []byte) {
		bodies, versions = append(bodies, body), append(versions, version)
	}
	cpu := seriesV1("__name__=cpu,host=a,job=node", 2, point(testMS, 1.5))
	add(V1, nil)
	add(V1, message(1, cpu, 1, seriesV1("__name__=cpu,host=b,job=node", 2, point(testMS, 2), 2, point(testMS+1, 3)), 1, cpu))
	add(V1, message(3, message(2, "cpu", 4, "help", 5, "percent"), 1, cpu))
	add(V1, message(1, seriesV1("__name__=h,le=+Inf,source=x", 3, "exemplar", 2, point(testMS, math.NaN()), 4, "histogram")))
	add(V1, message(1, append(message(2, point(testMS, 1)), seriesV1("__name__=late,a=b")...)))
	add(V1, message(1, seriesV1("host=a,__name__=b", 2, point(testMS, 1)), 1, seriesV1("__name__=x,a=", 2, point(1, 1), 2, "", 2, point(math.MinInt64, 1))))
	add(V2, requestV2("seconds", []string{"__name__=cpu,host=a,job=node", "__name__=cpu,host=b,source=s"}, 2, point(testMS, 2), 3, "h", 4, "e"))
	add(V2, requestV2("", []string{"__name__=cpu,host=a,job=node"}, 2, point(testMS, 2)))
	add(V2, message(4, "", 4, "__name__", 4, "m", 5, message(1, []byte{1, 2, 7, 7}, 2, point(testMS, 1)), 5, message(1, []byte{1}, 2, "")))
	add(V2, message(5, append([]byte{keyVarint1, 1, keyVarint1, 2}, message(2, point(testMS, 1))...), 4, "", 4, "__name__", 4, "m"))
	return bodies, versions
}

func FuzzDecode(f *testing.F) {
	bodies, versions := seeds()
	for i, body := range bodies {
		f.Add(body, versions[i] == V2)
	}
	used := NewDecoder(NewCache(rawcache.Options{MaxEntries: 64, MaxBytes: 4 << 10}), newMemoryResolver())
	f.Fuzz(func(t *testing.T, body []byte, second bool) {
		version := V1
		if second {
			version = V2
		}
		checkBody(t, body, version, used)
	})
}

// TestDecodeCutShort cuts each of the seeds everywhere, and changes each of their bytes.
func TestDecodeCutShort(t *testing.T) {
	used := NewDecoder(NewCache(rawcache.Options{MaxEntries: 64}), newMemoryResolver())
	bodies, versions := seeds()
	for i, body := range bodies {
		for cut := range len(body) + 1 {
			checkBody(t, body[:cut], versions[i], used)
		}
		for at := range body {
			for _, flip := range []byte{1, 2, 8, 0x80, 0xff} {
				changed := slices.Clone(body)
				changed[at] ^= flip
				checkBody(t, changed, versions[i], used)
			}
		}
	}
}
