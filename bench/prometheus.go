package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// prometheus is Prometheus as a receiver of remote write.
type prometheus struct{ program string }

func (*prometheus) Key() string  { return "prometheus" }
func (*prometheus) Name() string { return "Prometheus" }

func (p *prometheus) Find() (err error) {
	p.program, err = findProgram(p.Name(), "prometheus")
	return err
}

func (p *prometheus) Version(ctx context.Context) string {
	return versionOf(ctx, p.program, "--version")
}

func (*prometheus) takes(encoding string) bool { return encoding == encodingPRW }

func (*prometheus) payload(_ string, hosts int) (post, func() encoder) {
	return remotePost("/api/v1/write"), func() encoder { return newRemoteEncoder(hosts) }
}

func (p *prometheus) command(directory, address string, _ serveMode) (*exec.Cmd, error) {
	config := filepath.Join(directory, "prometheus.yml")
	if err := os.WriteFile(config, []byte("global: {}\n"), 0o644); err != nil {
		return nil, err
	}
	return exec.Command(p.program, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(directory, "data"),
		"--web.listen-address="+address, "--web.enable-remote-write-receiver", "--web.enable-admin-api",
		"--query.max-samples=200000000", "--log.level=warn"), nil
}

func (*prometheus) readyPath() string { return "/-/ready" }

func (*prometheus) prepare(*client) error { return nil }

// settle writes all, with what is in the head, into blocks, by making a snapshot.
func (*prometheus) settle(_ context.Context, s *server) error {
	return s.client.send(post{path: "/api/v1/admin/tsdb/snapshot", contentType: "application/json"}, nil)
}

// size is that of the snapshot's blocks: without the log, which goes once they are written.
func (*prometheus) size(s *server) (int64, error) {
	prefix := filepath.Join("data", "snapshots") + string(filepath.Separator)
	return sizeOf(s.directory, func(path string) bool { return strings.HasPrefix(path, prefix) })
}

// ask has no question for percentiles of several series, and one percentile at a time.
func (*prometheus) ask(q question) string {
	ofPercentiles := ""
	if q.byHost {
		ofPercentiles = fmt.Sprintf("quantile_over_time(0.95,%s)", promSelector(q))
	}
	return promAsk(q, ofPercentiles)
}

func (*prometheus) read(q question, body []byte) ([]row, error) {
	if q.function == totals {
		return promRead(q, body, "0", "1")
	}
	return promRead(q, body)
}

func (*prometheus) semantics(question) (ranking, float64) { return only95, 1e-9 }

func (*prometheus) exports() []exportFormat { return nil }
