package export

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/apache/arrow/go/v17/parquet"
	"github.com/apache/arrow/go/v17/parquet/file"
	"github.com/apache/arrow/go/v17/parquet/pqarrow"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/internal/timefmt"
	"github.com/flopynet/collector/model"
)

// row is a row that was exported, or is to be.
type row struct {
	at     int64
	bits   uint64
	metric string
	tags   string // as tagsText spells them
}

func tagsText(tags map[string]string) string {
	text, err := json.Marshal(tags)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func openStore(t testing.TB) *engine.DB {
	t.Helper()
	db, err := engine.Open("data", engine.Options{FS: vfs.NewMem(), MaintainInterval: -1, MinFreeBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func put(t testing.TB, db *engine.DB, name string, tags model.Tags, samples ...model.Sample) {
	t.Helper()
	id, err := db.Resolve(name, model.Normalize(slices.Clone(tags)))
	if err != nil {
		t.Fatal(err)
	}
	var batch engine.Batch
	for _, s := range samples {
		batch.Add(id, s.Time, s.Value)
	}
	if err := db.Write(&batch); err != nil {
		t.Fatal(err)
	}
}

const testStart = int64(1_705_312_800_000_000_000) // 2024-01-15T10:00:00Z

// awkward stores what is hard to spell, and returns the rows that should come out.
func awkward(t testing.TB, db *engine.DB) []row {
	t.Helper()
	values := []float64{42.5, 45.2, math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1), 0, 5e-324, math.MaxFloat64, 1.0 / 3, -17, 1e21, 123456789.123}
	var want []row
	for i, tags := range []model.Tags{
		{{Key: "source", Value: "fl_server"}, {Key: "experiment_id", Value: "exp_001"}, {Key: "host", Value: "fl-server-01"}},
		{{Key: "source", Value: "fl_server"}, {Key: "host", Value: "größe, \"日本\" 🙂"}},
		{{Key: "source", Value: "=cmd|' /C calc'!A0"}, {Key: "timestamp", Value: "t"}, {Key: "value", Value: "v"}, {Key: "metric", Value: "m"}, {Key: "unit", Value: "u"}, {Key: "exported_value", Value: "x"}},
		{{Key: "host", Value: "without a source"}},
		{{Key: "source", Value: "fl_server"}},
	} {
		for _, name := range []string{"cpu_usage", "übrige <metrics>"} {
			var samples []model.Sample
			for j, v := range values {
				// A nanosecond, a microsecond, whole seconds; days apart at times.
				at := testStart + int64(j)*300e9 + int64(j%3)*int64(j%2+1) + int64(i/2*j)*86_400e9
				samples = append(samples, model.Sample{Time: at, Value: v})
				plain := map[string]string{}
				for _, tag := range tags {
					plain[tag.Key] = tag.Value
				}
				want = append(want, row{at, math.Float64bits(v), name, tagsText(plain)})
			}
			samples = append(samples, model.Sample{Time: testStart - 1, Value: 7}, model.Sample{Time: testStart + 1e9, Value: math.Float64frombits(0x7ff0000000000002)})
			put(t, db, name, tags, samples...)
		}
		if i%2 == 0 {
			if err := db.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return want
}

var everything = engine.Selection{From: testStart, To: model.MaxTime}

func selectionOf(name string) engine.Selection {
	s := everything
	s.Matchers = []*model.Matcher{model.EqualMatcher(model.NameKey, name)}
	return s
}

// export returns what a request gives.
func export(t testing.TB, db *engine.DB, r Request) []byte {
	t.Helper()
	plan, err := NewPlan(t.Context(), db, r)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	var progress Progress
	rows, err := plan.Write(t.Context(), db, &out, &progress)
	if err != nil || rows != progress.Rows.Load() {
		t.Fatalf("%s: %d rows, %d as progress, %v", r.Format, rows, progress.Rows.Load(), err)
	}
	return out.Bytes()
}

// readers read an export back, but for the spelling of text, with readers that are not ours.
var readers = map[Format]func(t testing.TB, content []byte) []row{
	CSV: readCSV, JSON: readJSON, NDJSON: readNDJSON, Arrow: readArrow, Parquet: readParquet,
}

// columnKeys are the tags behind the names of columns of the awkward store.
var columnKeys = map[string]string{"exported_timestamp": "timestamp", "exported_metric": "metric", "exported_unit": "unit",
	"exported_exported_value": "value"}

func keyOf(column string) string {
	if key, renamed := columnKeys[column]; renamed {
		return key
	}
	return column
}

func parseTime(t testing.TB, text string) int64 {
	t.Helper()
	at, err := timefmt.ParseTime(text, 0)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func parseFloat(t testing.TB, text string) uint64 {
	t.Helper()
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	if math.IsNaN(v) {
		v = math.NaN() // text has one alone
	}
	return math.Float64bits(v)
}

func readCSV(t testing.TB, content []byte) (rows []row) {
	records, err := csv.NewReader(bytes.NewReader(content)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range records[1:] {
		read := row{metric: "cpu_usage"}
		tags := map[string]string{}
		for i, text := range record {
			switch name := records[0][i]; {
			case name == "timestamp":
				read.at = parseTime(t, text)
			case name == "value":
				read.bits = parseFloat(t, text)
			case name == "metric":
				read.metric = text
			case text != "":
				tags[keyOf(name)] = text
			}
		}
		read.tags = tagsText(tags)
		rows = append(rows, read)
	}
	return rows
}

type jsonRow struct {
	Timestamp string
	Metric    string
	Value     any
	Source    *string
	Tags      map[string]string
}

func (j jsonRow) row(t testing.TB) row {
	read := row{at: parseTime(t, j.Timestamp), metric: j.Metric}
	if j.Metric == "" {
		read.metric = "cpu_usage"
	}
	switch v := j.Value.(type) {
	case float64:
		read.bits = math.Float64bits(v)
	case string:
		read.bits = parseFloat(t, v)
	}
	if j.Tags == nil {
		j.Tags = map[string]string{}
	}
	if j.Source != nil {
		j.Tags["source"] = *j.Source
	}
	read.tags = tagsText(j.Tags)
	return read
}

func readJSON(t testing.TB, content []byte) (rows []row) {
	var all []jsonRow
	if err := json.Unmarshal(content, &all); err != nil {
		t.Fatalf("%v in %.300s", err, content)
	}
	for _, one := range all {
		rows = append(rows, one.row(t))
	}
	return rows
}

func readNDJSON(t testing.TB, content []byte) (rows []row) {
	for line := range bytes.Lines(content) {
		var one jsonRow
		if err := json.Unmarshal(line, &one); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, one.row(t))
	}
	return rows
}

func readArrow(t testing.TB, content []byte) (rows []row) {
	reader, err := ipc.NewReader(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Release()
	if kind := reader.Schema().Field(0).Type; !arrow.TypeEqual(kind, arrowTimestamp) {
		t.Errorf("timestamps are %v", kind)
	}
	for reader.Next() {
		record := reader.Record()
		rows = append(rows, recordRows(t, record.Schema(), record.Columns(), int(record.NumRows()))...)
	}
	if err := reader.Err(); err != nil {
		t.Fatal(err)
	}
	return rows
}

func recordRows(t testing.TB, schema *arrow.Schema, columns []arrow.Array, n int) []row {
	rows := make([]row, n)
	tags := make([]map[string]string, n)
	for i := range tags {
		rows[i].metric, tags[i] = "cpu_usage", map[string]string{}
	}
	for c, column := range columns {
		for i := range n {
			switch name := schema.Field(c).Name; name {
			case "timestamp":
				rows[i].at = int64(column.(*array.Timestamp).Value(i))
			case "value":
				rows[i].bits = math.Float64bits(column.(*array.Float64).Value(i))
			case "metric":
				rows[i].metric = column.ValueStr(i)
			default:
				if column.IsValid(i) {
					tags[i][keyOf(name)] = column.ValueStr(i)
				}
			}
		}
	}
	for i := range rows {
		rows[i].tags = tagsText(tags[i])
	}
	return rows
}

func readParquet(t testing.TB, content []byte) (rows []row) {
	reader, err := file.NewParquetReader(bytes.NewReader(content), file.WithReadProps(parquet.NewReaderProperties(memory.NewGoAllocator())))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	arrowReader, err := pqarrow.NewFileReader(reader, pqarrow.ArrowReadProperties{BatchSize: 1 << 20}, memory.NewGoAllocator())
	if err != nil {
		t.Fatal(err)
	}
	table, err := arrowReader.ReadTable(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer table.Release()
	if kind := table.Schema().Field(0).Type; !arrow.TypeEqual(kind, arrowTimestamp) {
		t.Errorf("timestamps are %v", kind)
	}
	chunks := array.NewTableReader(table, 1<<20)
	defer chunks.Release()
	for chunks.Next() {
		record := chunks.Record()
		rows = append(rows, recordRows(t, record.Schema(), record.Columns(), int(record.NumRows()))...)
	}
	return rows
}

func sortedRows(rows []row) []row {
	slices.SortFunc(rows, func(a, b row) int {
		return strings.Compare(fmt.Sprintf("%s %s %020d", a.metric, a.tags, a.at), fmt.Sprintf("%s %s %020d", b.metric, b.tags, b.at))
	})
	return rows
}

// TestEveryRowAndBit exports what is hard to spell in every format, and reads it back.
func TestEveryRowAndBit(t *testing.T) {
	db := openStore(t)
	want := sortedRows(awkward(t, db))
	for _, format := range Formats {
		t.Run(string(format), func(t *testing.T) {
			got := readers[format](t, export(t, db, Request{Selection: everything, Format: format, MetricColumn: true}))
			if got := sortedRows(got); !slices.Equal(got, want) {
				t.Errorf("several metrics: %d rows, want %d:\n%v\n%v", len(got), len(want), got, want)
			}
			one := slices.DeleteFunc(slices.Clone(want), func(r row) bool { return r.metric != "cpu_usage" })
			got = readers[format](t, export(t, db, Request{Selection: selectionOf("cpu_usage"), Format: format}))
			if got := sortedRows(got); !slices.Equal(got, one) {
				t.Errorf("one metric: %d rows, want %d", len(got), len(one))
			}
			if got := readers[format](t, export(t, db, Request{Selection: selectionOf("absent"), Format: format})); len(got) != 0 {
				t.Errorf("nothing: %d rows", len(got))
			}
		})
	}
}

// TestSpelling compares texts word for word: first the seed's.
func TestSpelling(t *testing.T) {
	db := openStore(t)
	seed := model.Tags{{Key: "source", Value: "fl_server"}, {Key: "host", Value: "fl-server-01"}, {Key: "experiment_id", Value: "exp_001"}}
	put(t, db, "cpu_usage", seed, model.Sample{Time: testStart, Value: 42.5}, model.Sample{Time: testStart + 300e9, Value: 45.2})
	put(t, db, "mem", model.Tags{{Key: "source", Value: "-s"}, {Key: "=a", Value: "+1"}, {Key: "b", Value: "@,"}, {Key: "c", Value: "a=b"}},
		model.Sample{Time: testStart + 1e6, Value: -1}, model.Sample{Time: testStart + 2e9, Value: math.Inf(-1)})
	put(t, db, "none", nil, model.Sample{Time: testStart, Value: 1})
	for _, c := range []struct {
		request Request
		want    string
	}{
		{Request{Selection: selectionOf("cpu_usage"), Format: CSV},
			"timestamp,value,source,experiment_id,host\n2024-01-15T10:00:00Z,42.5,fl_server,exp_001,fl-server-01\n2024-01-15T10:05:00Z,45.2,fl_server,exp_001,fl-server-01\n"},
		{Request{Selection: selectionOf("cpu_usage"), Format: CSV, MetricColumn: true, EpochUnit: 1e9, Edges: []int64{testStart, testStart + 3600e9}, Function: engine.Function{Kind: engine.Max}},
			"timestamp,metric,value,source,experiment_id,host\n1705312800,cpu_usage,45.2,fl_server,exp_001,fl-server-01\n"},
		{Request{Selection: selectionOf("cpu_usage"), Format: JSON},
			`[{"timestamp":"2024-01-15T10:00:00Z","value":42.5,"source":"fl_server","tags":{"experiment_id":"exp_001","host":"fl-server-01"}},` + "\n" +
				`{"timestamp":"2024-01-15T10:05:00Z","value":45.2,"source":"fl_server","tags":{"experiment_id":"exp_001","host":"fl-server-01"}}]` + "\n"},
		{Request{Selection: selectionOf("mem"), Format: NDJSON, EpochUnit: 1e6, MetricColumn: true},
			`{"timestamp":1705312800001,"metric":"mem","value":-1,"source":"-s","tags":{"=a":"+1","b":"@,","c":"a=b"}}` + "\n" +
				`{"timestamp":1705312802000,"metric":"mem","value":"-Inf","source":"-s","tags":{"=a":"+1","b":"@,","c":"a=b"}}` + "\n"},
		{Request{Selection: selectionOf("none"), Format: JSON}, `[{"timestamp":"2024-01-15T10:00:00Z","value":1,"source":null,"tags":{}}]` + "\n"},
		{Request{Selection: selectionOf("absent"), Format: JSON}, "[]\n"},
		{Request{Selection: selectionOf("absent"), Format: NDJSON}, ""},
		{Request{Selection: selectionOf("absent"), Format: CSV}, "timestamp,value,source\n"},
		{Request{Selection: selectionOf("mem"), Format: CSV},
			"timestamp,value,source,=a,b,c\n2024-01-15T10:00:00.001Z,-1,-s,+1,\"@,\",a=b\n2024-01-15T10:00:02Z,-Inf,-s,+1,\"@,\",a=b\n"},
		{Request{Selection: selectionOf("mem"), Format: CSV, SafeCSV: true},
			"timestamp,value,source,'=a,b,c\n2024-01-15T10:00:00.001Z,-1,'-s,'+1,\"'@,\",a=b\n2024-01-15T10:00:02Z,-Inf,'-s,'+1,\"'@,\",a=b\n"},
		{Request{Selection: selectionOf("mem"), Format: CSV, Columns: []string{"value", "timestamp"}}, "timestamp,value\n2024-01-15T10:00:00.001Z,-1\n2024-01-15T10:00:02Z,-Inf\n"},
		{Request{Selection: selectionOf("cpu_usage"), Format: CSV, MetricColumn: true, EpochUnit: 1e9, Columns: []string{"timestamp", "value", "rack", "host"}},
			"timestamp,value,host,rack\n1705312800,42.5,fl-server-01,\n1705313100,45.2,fl-server-01,\n"},
		{Request{Selection: selectionOf("mem"), Format: NDJSON, EpochUnit: 1e9, Columns: []string{"timestamp", "value", "metric"}},
			`{"timestamp":1705312800.001,"metric":"mem","value":-1}` + "\n" + `{"timestamp":1705312802,"metric":"mem","value":"-Inf"}` + "\n"},
		{Request{Selection: selectionOf("none"), Format: NDJSON, Columns: []string{"timestamp", "value", "source", "host"}}, `{"timestamp":"2024-01-15T10:00:00Z","value":1,"source":null,"tags":{}}` + "\n"},
		{Request{Selection: selectionOf("mem"), Format: JSON, Columns: []string{"timestamp", "value", "b"}},
			`[{"timestamp":"2024-01-15T10:00:00.001Z","value":-1,"tags":{"b":"@,"}},` + "\n" + `{"timestamp":"2024-01-15T10:00:02Z","value":"-Inf","tags":{"b":"@,"}}]` + "\n"},
		// A bucket without a value is no row: of one sample, there is no rate.
		{Request{Selection: selectionOf("none"), Format: NDJSON, Edges: []int64{testStart, testStart + 3600e9}, Function: engine.Function{Kind: engine.Rate}}, ""},
	} {
		if got := string(export(t, db, c.request)); got != c.want {
			t.Errorf("%s of %v:\n%s\nwant\n%s", c.request.Format, c.request.Matchers, got, c.want)
		}
	}
}

// TestManyBatches has more rows and series than fit in a record batch, a row group and a piece of text.
func TestManyBatches(t *testing.T) {
	db := openStore(t)
	const series, samples = 700, 1000
	var batch engine.Batch
	for i := range series {
		tags := model.Tags{{Key: "n", Value: fmt.Sprint(i)}, {Key: "source", Value: fmt.Sprint("s", i%7)}}
		if i%2 == 0 {
			tags = append(tags, model.Tag{Key: "z", Value: fmt.Sprint(i % 5)})
		}
		id, err := db.Resolve("cpu_usage", model.Normalize(tags))
		if err != nil {
			t.Fatal(err)
		}
		for j := range samples {
			batch.Add(id, testStart+int64(j)*1e9, float64(i*samples+j))
		}
	}
	if err := db.Write(&batch); err != nil {
		t.Fatal(err)
	}
	for _, format := range Formats {
		samples := samples
		if format != Parquet {
			samples = 200 // enough
		}
		selection := selectionOf("cpu_usage")
		selection.To = testStart + int64(samples)*1e9
		content := export(t, db, Request{Selection: selection, Format: format})
		rows := readers[format](t, content)
		if len(rows) != series*samples {
			t.Fatalf("%s: %d rows, want %d", format, len(rows), series*samples)
		}
		for n, got := range rows {
			i, j := n/samples, n%samples
			tags := fmt.Sprintf(`{"n":"%d","source":"s%d"}`, i, i%7)
			if i%2 == 0 {
				tags = fmt.Sprintf(`{"n":"%d","source":"s%d","z":"%d"}`, i, i%7, i%5)
			}
			if want := (row{testStart + int64(j)*1e9, math.Float64bits(float64(i*1000 + j)), "cpu_usage", tags}); got != want {
				t.Fatalf("%s: row %d is %v, want %v", format, n, got, want)
			}
		}
		if format == Parquet {
			checkStatistics(t, content, 2)
		}
	}
}

// checkStatistics looks at what the first row group of TestManyBatches says of its columns.
func checkStatistics(t *testing.T, content []byte, groups int) {
	t.Helper()
	reader, err := file.NewParquetReader(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if reader.NumRowGroups() != groups {
		t.Fatalf("%d row groups, want %d", reader.NumRowGroups(), groups)
	}
	group := reader.MetaData().RowGroup(0)
	for i, want := range []struct {
		min, max string
		nulls    int64
	}{2: {"s0", "s6", 0}, 3: {"0", "99", 0}, 4: {"0", "4", 262_000}} {
		if want.max == "" {
			continue
		}
		chunk, err := group.ColumnChunk(i)
		if err != nil {
			t.Fatal(err)
		}
		statistics, err := chunk.Statistics()
		if err != nil {
			t.Fatal(err)
		}
		min, max := string(statistics.EncodeMin()), string(statistics.EncodeMax())
		if min != want.min || max != want.max || statistics.NullCount() != want.nulls || statistics.NumValues()+statistics.NullCount() != parquetRows {
			t.Errorf("column %d: %q to %q, %d nulls, %d values, want %v", i, min, max, statistics.NullCount(), statistics.NumValues(), want)
		}
	}
}

// TestColumns asks for some columns of what is hard to spell: renamed ones, one that no series has, and none but times and values.
func TestColumns(t *testing.T) {
	db := openStore(t)
	all := awkward(t, db)
	for _, columns := range [][]string{
		{"timestamp", "value", "source", "metric", "exported_exported_value", "exported_metric", "nowhere"},
		{"timestamp", "value", "host", "exported_value"},
		{"timestamp", "value"},
	} {
		var want []row
		for _, r := range all {
			var tags map[string]string
			if err := json.Unmarshal([]byte(r.tags), &tags); err != nil {
				t.Fatal(err)
			}
			for key := range tags {
				name := key
				for column, behind := range columnKeys {
					if behind == key {
						name = column
					}
				}
				if key == "exported_value" {
					name = key
				}
				if !slices.Contains(columns, name) {
					delete(tags, key)
				}
			}
			if !slices.Contains(columns, "metric") {
				r.metric = "cpu_usage" // what readers take for it
			}
			r.tags = tagsText(tags)
			want = append(want, r)
		}
		for _, format := range Formats {
			content := export(t, db, Request{Selection: everything, Format: format, MetricColumn: true, Columns: columns})
			if got := sortedRows(readers[format](t, content)); !slices.Equal(got, sortedRows(want)) {
				t.Errorf("%s, %v: %d rows, want %d:\n%v\n%v", format, columns, len(got), len(want), got, want)
			}
		}
	}
}

// TestSeriesFillBatches has as many series of a sample as a record batch has rows, and one more.
func TestSeriesFillBatches(t *testing.T) {
	db := openStore(t)
	const series = arrowRows + 1
	var batch engine.Batch
	for i := range series {
		id, err := db.Resolve("cpu_usage", model.Normalize(model.Tags{{Key: "n", Value: fmt.Sprint(i)}}))
		if err != nil {
			t.Fatal(err)
		}
		batch.Add(id, testStart, float64(i))
	}
	if err := db.Write(&batch); err != nil {
		t.Fatal(err)
	}
	for _, format := range Formats {
		rows := readers[format](t, export(t, db, Request{Selection: everything, Format: format}))
		if len(rows) != series {
			t.Errorf("%s: %d rows, want %d", format, len(rows), series)
		}
		for i, got := range rows {
			if want := (row{testStart, math.Float64bits(float64(i)), "cpu_usage", fmt.Sprintf(`{"n":"%d"}`, i)}); got != want {
				t.Fatalf("%s: row %d is %v, want %v", format, i, got, want)
			}
		}
	}
}

// brokenWriter fails after some bytes.
type brokenWriter struct{ left int }

var errBroken = errors.New("no more")

func (w *brokenWriter) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, errBroken
	}
	return len(p), nil
}

// TestFailuresShow lets the writer fail at every piece that is written, the last one included.
func TestFailuresShow(t *testing.T) {
	db := openStore(t)
	awkward(t, db)
	for _, format := range Formats {
		r := Request{Selection: everything, Format: format}
		plan, err := NewPlan(t.Context(), db, r)
		if err != nil {
			t.Fatal(err)
		}
		whole := len(export(t, db, r))
		for _, left := range []int{0, 3, whole / 2, whole - 1} {
			if _, err := plan.Write(t.Context(), db, &brokenWriter{left}, new(Progress)); !errors.Is(err, errBroken) {
				t.Errorf("%s, failing after %d of %d bytes: %v", format, left, whole, err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := plan.Write(ctx, db, &brokenWriter{whole}, new(Progress)); !errors.Is(err, context.Canceled) {
			t.Errorf("%s, cancelled: %v", format, err)
		}
	}
}

func TestTooManyColumns(t *testing.T) {
	db := openStore(t)
	for i := range MaxTagColumns + 1 {
		put(t, db, "wide", model.Tags{{Key: fmt.Sprintf("k%d", i), Value: "v"}}, model.Sample{Time: testStart, Value: 1})
	}
	for _, format := range Formats {
		_, err := NewPlan(t.Context(), db, Request{Selection: everything, Format: format})
		if format.isTable() != errors.Is(err, ErrColumns) {
			t.Errorf("%s: %v", format, err)
		}
	}
}

// TestWideArrow reads record batches of so many columns that they have fewer rows than others.
func TestWideArrow(t *testing.T) {
	db := openStore(t)
	const series, keys, samples = 16, 62, 500
	var batch engine.Batch
	for i := range series {
		var tags model.Tags
		for k := range keys {
			tags = append(tags, model.Tag{Key: fmt.Sprintf("k%d_%d", i, k), Value: "v"})
		}
		id, err := db.Resolve("wide", model.Normalize(tags))
		if err != nil {
			t.Fatal(err)
		}
		for j := range samples {
			batch.Add(id, testStart+int64(j), float64(j))
		}
	}
	if err := db.Write(&batch); err != nil {
		t.Fatal(err)
	}
	reader, err := ipc.NewReader(bytes.NewReader(export(t, db, Request{Selection: everything, Format: Arrow})))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Release()
	rows, most := int64(0), int64(0)
	for reader.Next() {
		n := reader.Record().NumRows()
		rows, most = rows+n, max(most, n)
	}
	if want := int64(arrowCells / (1 + series*keys)); rows != series*samples || most != want || reader.Err() != nil {
		t.Errorf("%d rows, want %d; at most %d at once, want %d; %v", rows, series*samples, most, want, reader.Err())
	}
}

// TestLateSeriesAreLeftOut makes, after the plan, a series with a tag that has no column.
func TestLateSeriesAreLeftOut(t *testing.T) {
	db := openStore(t)
	put(t, db, "cpu_usage", model.Tags{{Key: "source", Value: "a"}}, model.Sample{Time: testStart, Value: 1})
	plan, err := NewPlan(t.Context(), db, Request{Selection: everything, Format: CSV})
	if err != nil {
		t.Fatal(err)
	}
	put(t, db, "cpu_usage", model.Tags{{Key: "new", Value: "a"}}, model.Sample{Time: testStart, Value: 1})
	var out bytes.Buffer
	if rows, err := plan.Write(t.Context(), db, &out, new(Progress)); err != nil || rows != 1 || strings.Count(out.String(), "\n") != 2 {
		t.Errorf("%d rows, %v: %s", rows, err, out.String())
	}
}
