package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/parquet/file"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

var exportStart = time.Date(2024, 1, 15, 0, 0, 0, 0, time.UTC).UnixNano()

// storeSamples makes a data directory with what fill writes, joined as maintenance leaves it.
func storeSamples(t *testing.T, fill func(db *engine.DB)) string {
	t.Helper()
	directory := t.TempDir()
	db, err := engine.Open(directory, engine.Options{Sync: engine.SyncOff, MaintainInterval: -1, MaintainShare: 1})
	if err != nil {
		t.Fatal(err)
	}
	fill(db)
	if err := db.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return directory
}

func resolve(t *testing.T, db *engine.DB, name string, tags ...string) model.SeriesID {
	t.Helper()
	var list model.Tags
	for i := 0; i < len(tags); i += 2 {
		list = append(list, model.Tag{Key: tags[i], Value: tags[i+1]})
	}
	id, err := db.Resolve(name, model.Normalize(list))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func write(t *testing.T, db *engine.DB, batch *engine.Batch) {
	t.Helper()
	if err := db.Write(batch); err != nil {
		t.Fatal(err)
	}
}

// download saves a long answer, and returns how many bytes it has.
func download(t *testing.T, url, path string) int64 {
	t.Helper()
	response, err := http.Get(url) //nolint:gosec // a server of the test's own
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s", url, response.Status)
	}
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(out, response.Body)
	if err != nil {
		t.Fatalf("GET %s: after %d bytes: %v", url, n, err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestExportMemory exports COLLECTOR_EXPORT_ROWS rows (say 10000000) in each format from the program as users
// run it, each from a fresh start, and fails when its resident memory was ever above 300 MB.
func TestExportMemory(t *testing.T) {
	rows, err := strconv.Atoi(os.Getenv("COLLECTOR_EXPORT_ROWS"))
	if err != nil {
		t.Skip("COLLECTOR_EXPORT_ROWS is not set: how many rows to export")
	}
	const series = 500
	directory := storeSamples(t, func(db *engine.DB) {
		random := rand.New(rand.NewPCG(1, 2))
		for host := range series {
			id := resolve(t, db, "load", "host", fmt.Sprintf("host_%d", host), "region", fmt.Sprintf("region_%d", host%7), "source", "bench")
			var batch engine.Batch
			value := 50.0
			for i := range rows / series {
				value += random.NormFloat64()
				batch.Add(id, exportStart+int64(i)*10e9, math.Round(value*100)/100)
			}
			write(t, db, &batch)
		}
	})
	for _, format := range []string{"csv", "json", "ndjson", "parquet", "arrow"} {
		p := start(t, directory, "--self-metrics=false")
		path := filepath.Join(t.TempDir(), "export."+format)
		began := time.Now()
		bytes := download(t, p.url+"/metrics/export?metric=load&from=0&to=2262-01-01&format="+format, path)
		took := time.Since(began)
		peak := peakMemory(t, p.command.Process.Pid)
		t.Logf("%-8s %d rows, %4d MB in %6.2f s: %5.1f M rows/s; peak RSS %d MB", format, rows, bytes>>20, took.Seconds(), float64(rows)/1e6/took.Seconds(), peak/1e6)
		if peak > 300e6 {
			t.Errorf("%s: peak RSS %d MB, at most 300 are allowed", format, peak/1e6)
		}
		if got := countRows(t, format, path); got != rows/series*series {
			t.Errorf("%s: %d rows, want %d", format, got, rows)
		}
		var job struct {
			ID     string `json:"export_id"`
			Status string `json:"status"`
			Rows   int    `json:"records_count"`
		}
		began = time.Now()
		for response := "/export/metrics?start_date=0&end_date=2262-01-01&format=" + format; ; response = "/export/" + job.ID + "/status" {
			getJob(t, p.url+response, &job)
			if job.Status != "processing" {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		peak = peakMemory(t, p.command.Process.Pid)
		t.Logf("%-8s the same as a job in %.2f s; peak RSS %d MB", format, time.Since(began).Seconds(), peak/1e6)
		if job.Status != "completed" || job.Rows != rows/series*series || peak > 300e6 {
			t.Errorf("%s: %+v, peak RSS %d MB", format, job, peak/1e6)
		}
		p.terminate(t)
		if err := os.RemoveAll(filepath.Join(directory, "exports")); err != nil {
			t.Fatal(err)
		}
	}
}

// getJob decodes the state of a job, which may be one that is still under way.
func getJob(t *testing.T, url string, into any) {
	t.Helper()
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(into); err != nil || response.StatusCode >= 300 {
		t.Fatalf("GET %s: %s, %v", url, response.Status, err)
	}
}

// peakMemory returns the most memory, in bytes, that a process has had resident.
func peakMemory(t *testing.T, pid int) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Skipf("the peak of resident memory is only known on Linux: %v", err)
	}
	for line := range strings.Lines(string(status)) {
		if kilobytes, found := strings.CutPrefix(line, "VmHWM:"); found {
			n, err := strconv.ParseInt(strings.Fields(kilobytes)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n << 10
		}
	}
	t.Fatal("the process has no VmHWM")
	return 0
}

// countRows counts the rows of a file.
func countRows(t *testing.T, format, path string) (rows int) {
	t.Helper()
	in, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	switch format {
	case "parquet":
		reader, err := file.NewParquetReader(in)
		if err != nil {
			t.Fatal(err)
		}
		return int(reader.NumRows())
	case "arrow":
		reader, err := ipc.NewReader(bufio.NewReaderSize(in, 1<<20))
		if err != nil {
			t.Fatal(err)
		}
		defer reader.Release()
		for reader.Next() {
			rows += int(reader.Record().NumRows())
		}
		if err := reader.Err(); err != nil {
			t.Fatal(err)
		}
		return rows
	}
	buffer := make([]byte, 1<<20)
	for {
		n, err := in.Read(buffer)
		rows += bytes.Count(buffer[:n], []byte("\n"))
		if err != nil {
			break
		}
	}
	if format == "csv" {
		rows-- // the header
	}
	return rows
}

// TestExportReadBack has exports read by pyarrow and DuckDB, of the Python that COLLECTOR_READBACK_PYTHON
// names, and compared with what was stored. make check-export runs it.
func TestExportReadBack(t *testing.T) {
	python := os.Getenv("COLLECTOR_READBACK_PYTHON")
	if python == "" {
		t.Skip("COLLECTOR_READBACK_PYTHON is not set; make check-export sets it")
	}
	folder := t.TempDir()
	source, err := os.Create(filepath.Join(folder, "source.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	rows := bufio.NewWriter(source)
	directory := storeSamples(t, func(db *engine.DB) { storeAwkward(t, db, rows) })
	if err := rows.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := source.Close(); err != nil {
		t.Fatal(err)
	}
	p := start(t, directory, "--self-metrics=false")
	for _, format := range []string{"csv", "json", "ndjson", "parquet", "arrow"} {
		query := "&from=0&to=2262-01-01&format=" + format
		download(t, p.url+"/metrics/export?metric="+url.QueryEscape("cpu usage")+query, filepath.Join(folder, "one."+format))
		download(t, p.url+"/metrics/export?metric="+url.QueryEscape(`cpu usage,größe "<日本>"`)+query, filepath.Join(folder, "several."+format))
	}
	p.terminate(t)
	output, err := exec.CommandContext(t.Context(), python, filepath.Join("testdata", "readback.py"), folder).CombinedOutput()
	t.Logf("%s", output)
	if err != nil {
		t.Error(err)
	}
}

// storeAwkward stores two metrics of series that are hard to spell, among them some with more rows than a
// record batch has, and describes each row to source.
func storeAwkward(t *testing.T, db *engine.DB, source io.Writer) {
	t.Helper()
	random := rand.New(rand.NewPCG(3, 4))
	special := []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1), 0, 5e-324, math.MaxFloat64, 1.0 / 3, 1e21, math.Float64frombits(0x7ff8000000000abc)}
	describe := json.NewEncoder(source)
	for _, name := range []string{"cpu usage", `größe "<日本>"`} {
		for n, tags := range [][]string{
			{"source", "fl_server", "experiment_id", "exp_001", "host", "fl-server-01"},
			{"source", "fl_server", "host", "Düsseldorf, \"日本\" 🙂"},
			{"source", "=1+1", "timestamp", "t", "value", "v", "metric", "m", "unit", "u"},
			{"host", "without a source"},
			{"source", "a", "leading", " spaces ", "quote", `it's "so"`, "null", "NULL"},
			{"source", "many", "host", "h1"}, {"source", "many", "host", "h2"}, {"source", "many", "host", "h3", "zone", "z"},
		} {
			id := resolve(t, db, name, tags...)
			count := 40
			if n == 5 || n == 6 {
				count = 40_000
			}
			plain := map[string]string{}
			for i := 0; i < len(tags); i += 2 {
				plain[tags[i]] = tags[i+1]
			}
			var batch engine.Batch
			at := exportStart
			for i := range count {
				at += 1 + random.Int64N([]int64{2, 1e3, 1e6, 1e9, 60e9}[random.IntN(5)])
				value := math.Round(random.NormFloat64()*1e4) / 100
				if i%5 == 0 {
					value = random.NormFloat64()
				}
				if i < 20 || i%1000 == 0 {
					value = special[random.IntN(len(special))]
				}
				batch.Add(id, at, value)
				if err := describe.Encode(map[string]any{"metric": name, "t": at, "bits": fmt.Sprintf("%016x", math.Float64bits(value)), "tags": plain}); err != nil {
					t.Fatal(err)
				}
			}
			write(t, db, &batch)
		}
	}
}
