package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// influx is InfluxDB 1.x.
type influx struct{ program string }

func (*influx) Key() string  { return "influxdb" }
func (*influx) Name() string { return "InfluxDB" }

func (i *influx) Find() (err error) {
	i.program, err = findProgram(i.Name(), "influxd")
	return err
}

func (i *influx) Version(ctx context.Context) string { return versionOf(ctx, i.program, "version") }

func (*influx) takes(encoding string) bool { return encoding == encodingInflux }

func (*influx) payload(_ string, hosts int) (post, func() encoder) {
	return influxPost("/write?db=bench"), func() encoder { return newInfluxEncoder(hosts) }
}

// influxConfig keeps all in one folder and no logs. The two cold durations are how long after the last write
// it begins to settle, which would be ten minutes and four hours.
const influxConfig = `reporting-disabled = true
bind-address = "127.0.0.1:0"
[meta]
  dir = %[1]q
[data]
  dir = %[2]q
  wal-dir = %[3]q
  query-log-enabled = false
  cache-snapshot-write-cold-duration = "2s"
  compact-full-write-cold-duration = "4s"
[http]
  bind-address = %[4]q
  log-enabled = false
[monitor]
  store-enabled = false
[logging]
  level = "warn"
  suppress-logo = true
`

func (i *influx) command(directory, address string, _ serveMode) (*exec.Cmd, error) {
	config := filepath.Join(directory, "influxdb.conf")
	text := fmt.Sprintf(influxConfig, filepath.Join(directory, "meta"), filepath.Join(directory, "data"), filepath.Join(directory, "wal"), address)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return nil, err
	}
	return exec.Command(i.program, "run", "-config", config), nil
}

func (*influx) readyPath() string { return "/ping" }

func (*influx) prepare(c *client) error {
	return c.send(post{path: pathOf("/query", "q", "CREATE DATABASE bench")}, nil)
}

// settle waits until the size has not changed for longer than its planner waits between two looks.
func (i *influx) settle(ctx context.Context, s *server) error {
	const quietTicks, longest = 40, 900 // of 200 ms
	last, quiet := int64(-1), 0
	for range longest {
		if err := errors.Join(ctx.Err(), s.hasEnded()); err != nil {
			return err
		}
		size, err := i.size(s)
		if err != nil {
			return err
		}
		if quiet++; size != last {
			last, quiet = size, 0
		}
		if quiet == quietTicks {
			return nil
		}
		time.Sleep(200 * time.Millisecond)
	}
	return errors.New("its files were still changing after three minutes")
}

func (*influx) size(s *server) (int64, error) {
	return sizeOf(s.directory, func(path string) bool { return strings.Contains(path, string(filepath.Separator)) })
}

func (*influx) ask(q question) string {
	field := fields[q.field]
	selected := "mean(" + field + ")"
	switch q.function {
	case totals:
		selected = fmt.Sprintf("count(%[1]s), sum(%[1]s)", field)
	case percentiles:
		var all []string
		for _, percent := range percents {
			all = append(all, fmt.Sprintf("percentile(%s, %v)", field, percent))
		}
		selected = strings.Join(all, ", ")
	}
	text := fmt.Sprintf("SELECT %s FROM %s WHERE time >= %d AND time < %d", selected, measurement, q.from.UnixNano(), q.to.UnixNano())
	if q.host >= 0 {
		text += " AND host = '" + hostName(q.host) + "'"
	}
	var groups []string
	if q.step > 0 {
		groups = append(groups, fmt.Sprintf("time(%dms)", q.step.Milliseconds()))
	}
	if q.byHost {
		groups = append(groups, "host")
	}
	if groups != nil {
		text += " GROUP BY " + strings.Join(groups, ", ")
	}
	if q.step > 0 {
		text += " fill(none)"
	}
	return pathOf("/query", "db", "bench", "epoch", "ms", "q", text)
}

func (*influx) read(_ question, body []byte) ([]row, error) {
	var answer struct {
		Results []struct {
			Error  string `json:"error"`
			Series []struct {
				Tags   map[string]string `json:"tags"`
				Values [][]float64       `json:"values"`
			} `json:"series"`
		} `json:"results"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, err
	}
	var rows []row
	for _, result := range answer.Results {
		if result.Error != "" {
			return nil, errors.New(result.Error)
		}
		for _, series := range result.Series {
			for _, values := range series.Values {
				rows = append(rows, row{series.Tags["host"], int64(values[0]), values[1:]})
			}
		}
	}
	return rows, nil
}

func (*influx) semantics(question) (ranking, float64) { return nearest, 1e-9 }

func (*influx) exports() []exportFormat { return nil }
