package bench

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/golang/snappy"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/internal/ingest"
)

// decoded is what a body holds: values by series and time in milliseconds.
type decoded map[string]float64

func (d decoded) add(t *testing.T, name string, tags map[string]string, milliseconds int64, value float64) {
	t.Helper()
	text, err := json.Marshal(tags) // sorted by key
	if err != nil {
		t.Fatal(err)
	}
	key := fmt.Sprintf("%s %s %d", name, text, milliseconds)
	if _, twice := d[key]; twice {
		t.Errorf("%s comes twice", key)
	}
	d[key] = value
}

// blockOf is what the body of a block should hold.
func blockOf(t *testing.T, w *Workload, b block) decoded {
	want := decoded{}
	for host := b.firstHost; host < b.firstHost+b.hosts; host++ {
		tags := map[string]string{}
		for _, tag := range tagsOf(host) {
			tags[tag.key] = tag.value
		}
		for field := range fields {
			for step := b.firstStep; step < b.firstStep+b.steps; step++ {
				want.add(t, metricName(field), tags, w.at(step)/1e6, w.series(host, field)[step])
			}
		}
	}
	return want
}

// TestEncodings decodes a body of each encoding by code that isn't ours, or is the server's.
func TestEncodings(t *testing.T) {
	for _, variant := range VariantNames() {
		w := NewWorkload(testShape, variant, testDay)
		b := w.blocks(connections)[1][1]
		want := blockOf(t, w, b)
		if len(want) != b.samples() {
			t.Fatalf("%d samples in a block of %d", len(want), b.samples())
		}
		for name, one := range map[string]struct {
			encoder encoder
			decode  func(*testing.T, []byte) decoded
		}{
			"influx":  {newInfluxEncoder(w.Hosts), decodeInflux},
			"prw":     {newRemoteEncoder(w.Hosts), decodeRemote},
			"metrics": {newMetricsEncoder(w.Hosts), decodeMetrics},
			"import":  {newImportEncoder(w.Hosts), decodeImport},
		} {
			const before = "kept"
			body := one.encoder.appendBody([]byte(before), w, b)
			got := one.decode(t, body[len(before):])
			if string(body[:len(before)]) != before || len(got) != len(want) {
				t.Errorf("%s %s: %d samples of %d", name, variant, len(got), len(want))
			}
			for key, value := range want {
				if math.Float64bits(got[key]) != math.Float64bits(value) {
					t.Fatalf("%s %s: %s is %v, not %v", name, variant, key, got[key], value)
				}
			}
		}
	}
}

func number(t *testing.T, text string) float64 {
	t.Helper()
	value, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// decodeInflux knows as much of line protocol as the workload needs, which escapes nothing.
func decodeInflux(t *testing.T, body []byte) decoded {
	got := decoded{}
	for line := range strings.Lines(string(body)) {
		parts := strings.Split(strings.TrimSuffix(line, "\n"), " ")
		if len(parts) != 3 {
			t.Fatalf("a line of %d parts: %s", len(parts), line)
		}
		head := strings.Split(parts[0], ",")
		tags := map[string]string{}
		for _, tag := range head[1:] {
			key, value, _ := strings.Cut(tag, "=")
			tags[key] = value
		}
		nanoseconds, err := strconv.ParseInt(parts[2], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		for _, field := range strings.Split(parts[1], ",") {
			name, value, _ := strings.Cut(field, "=")
			got.add(t, head[0]+"_"+name, tags, nanoseconds/1e6, number(t, value))
		}
	}
	return got
}

// remoteSchema is prompb's, as far as remote write 1.0 needs it.
const remoteSchema = `name: "remote.proto" package: "p" syntax: "proto3"
message_type { name: "WriteRequest" field { name: "timeseries" number: 1 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".p.TimeSeries" } }
message_type { name: "TimeSeries"
  field { name: "labels" number: 1 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".p.Label" }
  field { name: "samples" number: 2 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".p.Sample" } }
message_type { name: "Label" field { name: "name" number: 1 type: TYPE_STRING } field { name: "value" number: 2 type: TYPE_STRING } }
message_type { name: "Sample" field { name: "value" number: 1 type: TYPE_DOUBLE } field { name: "timestamp" number: 2 type: TYPE_INT64 } }`

func decodeRemote(t *testing.T, body []byte) decoded {
	plain, err := snappy.Decode(nil, body)
	if err != nil {
		t.Fatal(err)
	}
	var described descriptorpb.FileDescriptorProto
	if err := prototext.Unmarshal([]byte(remoteSchema), &described); err != nil {
		t.Fatal(err)
	}
	schema, err := protodesc.NewFile(&described, nil)
	if err != nil {
		t.Fatal(err)
	}
	request := dynamicpb.NewMessage(schema.Messages().ByName("WriteRequest"))
	if err := proto.Unmarshal(plain, request); err != nil {
		t.Fatal(err)
	}
	of := func(m protoreflect.Message, name protoreflect.Name) protoreflect.Value {
		return m.Get(m.Descriptor().Fields().ByName(name))
	}
	got := decoded{}
	for list, i := of(request, "timeseries").List(), 0; i < list.Len(); i++ {
		series := list.Get(i).Message()
		tags, last := map[string]string{}, ""
		for labels, j := of(series, "labels").List(), 0; j < labels.Len(); j++ {
			name := of(labels.Get(j).Message(), "name").String()
			if name <= last {
				t.Errorf("label %s comes after %s", name, last)
			}
			last = name
			tags[name] = of(labels.Get(j).Message(), "value").String()
		}
		name := tags["__name__"]
		delete(tags, "__name__")
		for samples, j := of(series, "samples").List(), 0; j < samples.Len(); j++ {
			sample := samples.Get(j).Message()
			got.add(t, name, tags, of(sample, "timestamp").Int(), of(sample, "value").Float())
		}
	}
	if len(request.GetUnknown()) > 0 {
		t.Error("fields that nobody knows")
	}
	return got
}

// decodeImport reads lines as VictoriaMetrics describes them.
func decodeImport(t *testing.T, body []byte) decoded {
	got := decoded{}
	for line := range strings.Lines(string(body)) {
		var series struct {
			Metric     map[string]string `json:"metric"`
			Values     []float64         `json:"values"`
			Timestamps []int64           `json:"timestamps"`
		}
		if err := json.Unmarshal([]byte(line), &series); err != nil {
			t.Fatal(err)
		}
		name := series.Metric["__name__"]
		delete(series.Metric, "__name__")
		for i, at := range series.Timestamps {
			got.add(t, name, series.Metric, at, series.Values[i])
		}
	}
	return got
}

// decodeMetrics reads a body as the API describes it. The server's own decoder must take all of it, too.
func decodeMetrics(t *testing.T, body []byte) decoded {
	var request struct {
		Source  string `json:"source"`
		Metrics []struct {
			Name      string            `json:"name"`
			Value     float64           `json:"value"`
			Timestamp int64             `json:"timestamp"`
			Tags      map[string]string `json:"tags"`
		} `json:"metrics"`
	}
	if err := json.Unmarshal(body, &request); err != nil {
		t.Fatal(err)
	}
	got := decoded{}
	for _, metric := range request.Metrics {
		got.add(t, metric.Name, metric.Tags, metric.Timestamp, metric.Value)
	}
	db, err := engine.Open(t.TempDir(), engine.Options{MaintainInterval: -1, MinFreeBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var batch engine.Batch
	report, err := ingest.NewDecoder(ingest.NewCache(ingest.CacheOptions{}), db).Decode(body, ingest.Metrics, 0, &batch)
	if err != nil || report.Accepted != len(got) || report.Rejected != 0 || len(report.Warnings) != 0 {
		t.Errorf("the server makes %+v of a body of %d metrics (%v)", report, len(got), err)
	}
	return got
}
