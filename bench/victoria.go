package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

// victoria is VictoriaMetrics, a single node.
type victoria struct{ program string }

func (*victoria) Key() string  { return "victoriametrics" }
func (*victoria) Name() string { return baselineName }

func (v *victoria) Find() (err error) {
	v.program, err = findProgram(v.Name(), "victoria-metrics", "victoria-metrics-prod")
	return err
}

// Version is asked of a running one, since Debian's says nothing when asked by a flag.
func (v *victoria) Version(ctx context.Context) string {
	if version := packageVersion(ctx, "victoria-metrics"); version != "" {
		return "victoria-metrics " + version + " (Debian)"
	}
	return versionOf(ctx, v.program, "--version")
}

func (*victoria) takes(string) bool { return true }

func (*victoria) payload(encoding string, hosts int) (post, func() encoder) {
	switch encoding {
	case encodingInflux:
		return influxPost("/write"), func() encoder { return newInfluxEncoder(hosts) }
	case encodingPRW:
		return remotePost("/api/v1/write"), func() encoder { return newRemoteEncoder(hosts) }
	default:
		return post{path: "/api/v1/import", contentType: "application/json"}, func() encoder { return newImportEncoder(hosts) }
	}
}

func (v *victoria) command(directory, address string, _ serveMode) (*exec.Cmd, error) {
	return exec.Command(v.program, "-storageDataPath="+directory, "-httpListenAddr="+address,
		"-retentionPeriod=12", "-loggerLevel=WARN"), nil
}

func (*victoria) readyPath() string { return "/health" }

func (*victoria) prepare(*client) error { return nil }

var activeMerges = regexp.MustCompile(`(?m)^vm_active_(?:force_)?merges(?:\{[^}]*\})? ([0-9]+)`)

// settle makes all searchable and merges it, and waits until no merge goes on.
func (*victoria) settle(ctx context.Context, s *server) error {
	var response fasthttp.Response
	for _, path := range []string{"/internal/force_flush", "/internal/force_merge"} {
		if _, err := s.client.get(path, &response); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	for quiet := 0; quiet < 5; {
		if err := errors.Join(ctx.Err(), s.hasEnded()); err != nil {
			return err
		}
		time.Sleep(200 * time.Millisecond)
		metrics, err := s.client.get("/metrics", &response)
		if err != nil {
			return err
		}
		quiet++
		for _, found := range activeMerges.FindAllSubmatch(metrics, -1) {
			if string(found[1]) != "0" {
				quiet = 0
			}
		}
	}
	_, err := s.client.get("/internal/force_flush", &response)
	return err
}

// size leaves out the caches, which aren't needed.
func (*victoria) size(s *server) (int64, error) {
	return sizeOf(s.directory, func(path string) bool {
		return strings.HasPrefix(path, "data"+string(filepath.Separator)) || strings.HasPrefix(path, "indexdb"+string(filepath.Separator))
	})
}

// ask switches the cache of answers off.
func (*victoria) ask(q question) string {
	ofPercentiles := fmt.Sprintf(`quantiles_over_time("f",0.5,0.9,0.95,0.99,%s)`, promSelector(q))
	if !q.byHost {
		ofPercentiles = fmt.Sprintf(`histogram_quantiles("f",0.5,0.9,0.95,0.99,sum(histogram_over_time(%s)) by (vmrange))`, promSelector(q))
	}
	return promAsk(q, ofPercentiles, "nocache", "1")
}

func (*victoria) read(q question, body []byte) ([]row, error) {
	switch q.function {
	case totals:
		return promRead(q, body, "0", "1")
	case percentiles:
		return promRead(q, body, "0.5", "0.9", "0.95", "0.99")
	default:
		return promRead(q, body)
	}
}

// semantics minds that it stores 12 significant digits.
func (*victoria) semantics(q question) (ranking, float64) {
	if q.function == percentiles && !q.byHost {
		return vmranges, 0.15 // of its histogram
	}
	return linear, 1e-11
}

// exports has the columns that ours have, in the same order.
func (*victoria) exports() []exportFormat {
	columns, names := []string{"__timestamp__:unix_ms", "__value__"}, []string{"timestamp", "value"}
	for _, tag := range tagsOf(0) {
		columns, names = append(columns, tag.key), append(names, tag.key)
	}
	path := func(where string, extra ...string) func(w *Workload, field int) string {
		return func(w *Workload, field int) string {
			return pathOf(where, append([]string{"match[]", metricName(field), "start", promTime(w.Start), "end", promTime(w.End().Add(-time.Millisecond))}, extra...)...)
		}
	}
	type line struct {
		Metric     map[string]string `json:"metric"`
		Values     []float64         `json:"values"`
		Timestamps []int64           `json:"timestamps"`
	}
	return []exportFormat{
		{exportCSV, path("/api/v1/export/csv", "format", strings.Join(columns, ",")), func(body io.Reader, check *rowCheck) error {
			return readCSV(body, check, names)
		}},
		{exportLines, path("/api/v1/export"), func(body io.Reader, check *rowCheck) error {
			return readLines(body, func(l *line) error {
				for i, at := range l.Timestamps {
					if err := check.add(l.Metric["host"], at*1e6, l.Values[i]); err != nil {
						return err
					}
				}
				return nil
			})
		}},
	}
}
