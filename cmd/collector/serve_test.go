package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestDataOutlivesTheProcess(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "made", "when", "needed")
	body := `{"source": "test", "timestamp": "2024-01-15T10:30:00.25Z", "metrics": [{"name": "cpu_usage", "value": 45.2, "unit": "percent", "tags": {"host": "a"}}]}`
	check := func(p *process) {
		t.Helper()
		var got rows
		get(t, p.url+"/metrics/query?metric=cpu_usage&source=test&from=2024-01-15&to=2024-01-16&epoch=ns", &got)
		if len(got.DataPoints) != 1 || got.DataPoints[0].Timestamp != 1705314600250000000 || got.DataPoints[0].Value != 45.2 {
			t.Fatalf("got %+v", got)
		}
	}
	first := start(t, directory)
	if err := post(first.url+"/metrics", body); err != nil {
		t.Fatal(err)
	}
	check(first)
	first.terminate(t)

	second := start(t, directory)
	check(second)
	second.terminate(t)
}

func TestInterruptEndsInOrder(t *testing.T) {
	p := start(t, t.TempDir())
	p.signal(t, os.Interrupt)
	if code := p.wait(t); code != exitOK {
		t.Errorf("exit code %d; log:\n%s", code, p.stderr)
	}
	if lines := strings.Split(strings.TrimSpace(p.stderr.String()), "\n"); !strings.Contains(lines[len(lines)-1], "msg=stopped took=") {
		t.Errorf("the last word is not that it has stopped:\n%s", p.stderr)
	}
}

// TestSecondSignalEndsAtOnce holds the shutdown up with a request that never ends.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	p := start(t, t.TempDir())
	connection, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	if _, err := io.WriteString(connection, "POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	get(t, p.url+"/livez", new(any)) // sent later, answered: the server has seen the first request too
	p.signal(t, syscall.SIGTERM)
	for deadline := time.Now().Add(patience); !strings.Contains(p.stderr.String(), "stopping"); {
		if time.Now().After(deadline) {
			t.Fatalf("no word of stopping; log:\n%s", p.stderr)
		}
		time.Sleep(time.Millisecond)
	}
	p.signal(t, syscall.SIGTERM)
	if code := p.wait(t); code != exitForced {
		t.Errorf("exit code %d, want %d; log:\n%s", code, exitForced, p.stderr)
	}
}

func TestSecondProcessOnADataDirectoryIsRefused(t *testing.T) {
	directory := t.TempDir()
	start(t, directory)
	_, stderr, code := runToEnd(t, nil, "serve", "--listen=127.0.0.1:0", "--data-dir="+directory)
	if code != exitFailed || !strings.Contains(stderr, "in use by another process") || !strings.Contains(stderr, directory) {
		t.Errorf("exit code %d, said: %s", code, stderr)
	}
}

func TestPortInUseIsRefused(t *testing.T) {
	p := start(t, t.TempDir())
	address := strings.TrimPrefix(p.url, "http://")
	_, stderr, code := runToEnd(t, nil, "serve", "--listen="+address, "--data-dir="+t.TempDir())
	if code != exitFailed || !strings.Contains(stderr, address+" is in use already") {
		t.Errorf("exit code %d, said: %s", code, stderr)
	}
}

func TestSeveralListeners(t *testing.T) {
	p := start(t, t.TempDir(), "--listen=127.0.0.1:0")
	if strings.Count(p.banner, "listening on") != 2 {
		t.Fatalf("two listeners were asked for: %s", p.banner)
	}
	for line := range strings.Lines(p.banner) {
		if _, url, found := strings.Cut(strings.TrimSpace(line), "listening on  "); found {
			get(t, url+"/readyz", new(any))
		}
	}
	p.terminate(t)
}

// TestSettingsTakePrecedence looks at the banner, which names the sync mode in force.
func TestSettingsTakePrecedence(t *testing.T) {
	file := filepath.Join(t.TempDir(), "collector.yaml")
	if err := os.WriteFile(file, []byte("listen: ['127.0.0.1:0']\nwal: {sync: interval, sync_interval: 250ms}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	fromEnvironment := []string{"COLLECTOR_WAL_SYNC=off"}
	cases := []struct {
		name        string
		environment []string
		arguments   []string
		want        string
	}{
		{"default", nil, []string{"--listen=127.0.0.1:0"}, "wal.sync=always"},
		{"file", nil, []string{"--config=" + file}, "wal.sync=interval: a power failure may cost the last 250ms"},
		{"file named by the environment", []string{"COLLECTOR_CONFIG=" + file}, nil, "wal.sync=interval"},
		{"environment over file", fromEnvironment, []string{"--config=" + file}, "wal.sync=off"},
		{"flag over environment", fromEnvironment, []string{"--config=" + file, "--wal-sync=always"}, "wal.sync=always"},
		{"empty variables are not given", []string{"COLLECTOR_CONFIG=", "COLLECTOR_LISTEN=", "COLLECTOR_ALLOWED_HOSTS=", "COLLECTOR_WAL_SYNC=",
			"COLLECTOR_INSECURE=", "COLLECTOR_STORAGE_RETENTION_DAYS=", "COLLECTOR_PROCESSING_FLUSH_INTERVAL="}, []string{"--config=" + file}, "wal.sync=interval"},
		{"lists", []string{"COLLECTOR_LISTEN=127.0.0.1:0,127.0.0.1:0"}, nil, "wal.sync=always"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			arguments := append([]string{"serve", "--data-dir=" + t.TempDir()}, c.arguments...)
			p := startCommand(t, command(t, c.environment, arguments...))
			if !strings.Contains(p.banner, c.want) {
				t.Errorf("want %q in: %s", c.want, p.banner)
			}
			if want := 1 + strings.Count(strings.Join(c.environment, ""), "127.0.0.1:0,"); strings.Count(p.banner, "listening on") != want {
				t.Errorf("want %d listeners in: %s", want, p.banner)
			}
		})
	}
}

func TestBadSettingsAreNamed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "collector.yaml")
	if err := os.WriteFile(file, []byte("wal:\n  snyc: always\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name        string
		environment []string
		argument    string
		code        int
		want        []string
	}{
		{"unknown key", nil, "--config=" + file, exitFailed, []string{"collector.yaml: line 2", `"wal.snyc"`, "sync_interval"}},
		{"bad value", nil, "--wal-sync=sometimes", exitFailed, []string{"wal.sync", `"sometimes"`, "always, interval and off"}},
		{"bad value in the environment", []string{"COLLECTOR_LOG_LEVEL=loud"}, "--insecure", exitFailed, []string{"log.level", `"loud"`}},
		{"not a number in the environment", []string{"COLLECTOR_STORAGE_RETENTION_DAYS=soon"}, "--insecure", exitUsage, []string{"COLLECTOR_STORAGE_RETENTION_DAYS", "soon"}},
		{"unknown flag", nil, "--wal-snyc=off", exitUsage, []string{"--wal-snyc"}},
		{"open to the network", nil, "--listen=0.0.0.0:0", exitFailed, []string{"0.0.0.0:0", "--api-key", "--insecure"}},
		{"key of an unknown role", nil, "--api-key=a:root:b", exitFailed, []string{"auth.keys[0].role", `"root"`, "read, write, admin"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, stderr, code := runToEnd(t, c.environment, "serve", "--data-dir="+t.TempDir(), c.argument)
			if code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			for _, want := range c.want {
				if !strings.Contains(stderr, want) {
					t.Errorf("want %q in: %s", want, stderr)
				}
			}
		})
	}
}

func TestInsecureListensToTheNetwork(t *testing.T) {
	p := start(t, t.TempDir(), "--insecure", "--listen=0.0.0.0:0")
	if !strings.Contains(p.banner, "[::]:") && !strings.Contains(p.banner, "0.0.0.0:") {
		t.Errorf("no such listener in: %s", p.banner)
	}
	if !strings.Contains(p.banner, "curl 'http://127.0.0.1:") {
		t.Errorf("no address to call in: %s", p.banner)
	}
	p.terminate(t) // all of its log has come now
	log := p.stderr.String()
	if strings.Count(log, "other machines can reach") != 1 || !strings.Contains(log, "level=WARN") {
		t.Errorf("not one warning, for one of the two listeners, in:\n%s", log)
	}
}

func TestUnknownVariableIsWarnedOf(t *testing.T) {
	p := startCommand(t, command(t, []string{"COLLECTOR_WAL_SNYC=off"}, "serve", "--listen=127.0.0.1:0", "--data-dir="+t.TempDir()))
	p.terminate(t) // all of its log has come now
	if log := p.stderr.String(); !strings.Contains(log, "COLLECTOR_WAL_SNYC") {
		t.Errorf("no warning in:\n%s", log)
	}
}

// TestFreshInstallHasData asks what the banner suggests, until there is an answer.
func TestFreshInstallHasData(t *testing.T) {
	p := start(t, t.TempDir())
	_, suggestion, found := strings.Cut(p.banner, "curl '")
	url, _, closed := strings.Cut(suggestion, "'")
	if !found || !closed {
		t.Fatalf("no curl to try in: %s", p.banner)
	}
	for deadline := time.Now().Add(patience); ; {
		var got rows
		get(t, url+"&epoch=ns", &got)
		if len(got.DataPoints) > 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no measurements of this machine after %v; log:\n%s", patience, p.stderr)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestSelfMetricsCanBeOff(t *testing.T) {
	p := start(t, t.TempDir(), "--self-metrics=false")
	_, suggestion, _ := strings.Cut(p.banner, "curl '")
	url, body, found := strings.Cut(strings.TrimSpace(suggestion), "' -d '")
	if !found {
		t.Fatalf("with nothing to read yet, the curl to try should write: %s", p.banner)
	}
	if err := post(url, strings.TrimSuffix(body, "'")); err != nil {
		t.Error(err)
	}
}

func TestVersionAndHelp(t *testing.T) {
	for _, argument := range []string{"version", "--version"} {
		stdout, stderr, code := runToEnd(t, nil, argument)
		if code != exitOK || !strings.HasPrefix(stdout, "collector v0.0.0-test (go1") {
			t.Errorf("%s: exit code %d, printed %q, %q", argument, code, stdout, stderr)
		}
	}
	stdout, _, code := runToEnd(t, nil, "serve", "--help")
	if code != exitOK || !strings.Contains(stdout, "COLLECTOR_WAL_SYNC") {
		t.Errorf("--help: exit code %d, printed %s", code, stdout)
	}
}

// TestRunTellsUsageFromFailure calls the program in this process. That links all of it into the test
// binary, without which "go test" would not notice that the code changed, and answer from its cache.
func TestRunTellsUsageFromFailure(t *testing.T) {
	if code := run([]string{"no-such-command"}); code != exitUsage {
		t.Errorf("exit code %d for an unknown command, want %d", code, exitUsage)
	}
	if code := run([]string{"serve", "--wal-sync=sometimes"}); code != exitFailed {
		t.Errorf("exit code %d for a bad setting, want %d", code, exitFailed)
	}
}

func TestHealthNamesTheVersion(t *testing.T) {
	p := start(t, t.TempDir())
	var health struct{ Version, Status string }
	get(t, p.url+"/health", &health)
	if health.Version != "v0.0.0-test" || health.Status != "healthy" {
		t.Errorf("got %+v", health)
	}
	response, err := http.Get(p.url + "/nowhere")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusNotFound {
		t.Error(fmt.Errorf("GET /nowhere: %s", response.Status))
	}
}
