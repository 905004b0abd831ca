package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait of these tests. It decides nothing but when a hang is called one.
const patience = 60 * time.Second

var binary struct {
	sync.Once
	directory string
	err       error
	output    []byte
}

// TestMain removes the binary that the first test to need it has built.
func TestMain(m *testing.M) {
	code := m.Run()
	if binary.directory != "" {
		_ = os.RemoveAll(binary.directory)
	}
	os.Exit(code)
}

// collectorBinary returns the path of the program as users run it: no race detector, no cgo.
func collectorBinary(t *testing.T) string {
	t.Helper()
	binary.Do(func() {
		if binary.directory, binary.err = os.MkdirTemp("", "collector-test-"); binary.err != nil {
			return
		}
		build := exec.Command("go", "build", "-buildvcs=false", "-ldflags", "-X main.version=v0.0.0-test",
			"-o", filepath.Join(binary.directory, "collector"), ".")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		binary.output, binary.err = build.CombinedOutput()
	})
	if binary.err != nil {
		t.Fatalf("building the collector: %v\n%s", binary.err, binary.output)
	}
	return filepath.Join(binary.directory, "collector")
}

// process is a running collector.
type process struct {
	command *exec.Cmd
	url     string        // of the first listener
	banner  string        // what it printed until it was ready
	printed *lockedBuffer // what it has printed since
	ready   time.Duration // from its start to the end of the banner
	stderr  *lockedBuffer
	exited  chan struct{} // closed once it has ended
}

// lockedBuffer is a buffer that may be read while the process still writes.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

// command prepares the collector with these arguments and no setting from the environment but extra.
func command(t *testing.T, extra []string, arguments ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*patience)
	t.Cleanup(cancel) // kills what is still running
	c := exec.CommandContext(ctx, collectorBinary(t), arguments...)
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "COLLECTOR_") {
			c.Env = append(c.Env, entry)
		}
	}
	c.Env = append(c.Env, extra...)
	c.Dir = t.TempDir()
	return c
}

// start runs "collector serve" on a free port of the data directory and waits until it is ready.
func start(t *testing.T, directory string, arguments ...string) *process {
	t.Helper()
	arguments = append([]string{"serve", "--listen=127.0.0.1:0", "--data-dir=" + directory}, arguments...)
	return startCommand(t, command(t, nil, arguments...))
}

func startCommand(t *testing.T, c *exec.Cmd) *process {
	t.Helper()
	reader, writer := io.Pipe()
	c.Stdout = writer
	began := time.Now()
	p := launch(t, c)
	go func() {
		<-p.exited
		_ = writer.Close()
	}()
	banner := make(chan string, 1)
	go func() {
		var lines strings.Builder
		scanner := bufio.NewScanner(reader)
		for scanner.Scan() && !strings.HasPrefix(strings.TrimSpace(scanner.Text()), "try ") {
			lines.WriteString(scanner.Text() + "\n")
		}
		banner <- lines.String() + scanner.Text()
		for scanner.Scan() {
			fmt.Fprintln(p.printed, scanner.Text())
		}
	}()
	select {
	case p.banner = <-banner:
	case <-time.After(patience):
		t.Fatalf("not ready after %v; its log:\n%s", patience, p.stderr)
	}
	p.ready = time.Since(began)
	_, after, found := strings.Cut(p.banner, "listening on  ")
	if !found {
		t.Fatalf("it didn't start; it said %q and logged:\n%s", p.banner, p.stderr)
	}
	p.url, _, _ = strings.Cut(after, "\n")
	return p
}

// launch starts a command, whose stdout is the caller's business.
func launch(t *testing.T, c *exec.Cmd) *process {
	t.Helper()
	p := &process{command: c, stderr: &lockedBuffer{}, printed: &lockedBuffer{}, exited: make(chan struct{})}
	c.Stderr = p.stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = c.Wait() // the exit code is in c.ProcessState
		close(p.exited)
	}()
	t.Cleanup(func() {
		_ = c.Process.Kill()
		<-p.exited
	})
	return p
}

// signal sends a signal to the process, and to nothing else.
func (p *process) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := p.command.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// wait returns the exit code once the process has ended.
func (p *process) wait(t *testing.T) int {
	t.Helper()
	select {
	case <-p.exited:
		return p.command.ProcessState.ExitCode()
	case <-time.After(patience):
		t.Fatalf("still running after %v; its log:\n%s", patience, p.stderr)
		return -1
	}
}

// terminate asks the process to stop, and checks that it does so in order.
func (p *process) terminate(t *testing.T) {
	t.Helper()
	p.signal(t, syscall.SIGTERM)
	if code := p.wait(t); code != 0 {
		t.Fatalf("exit code %d after SIGTERM; its log:\n%s", code, p.stderr)
	}
}

// kill ends the process at once, as kill -9 does.
func (p *process) kill(t *testing.T) {
	t.Helper()
	p.signal(t, syscall.SIGKILL)
	p.wait(t)
}

// runToEnd runs the collector to its end and returns what it printed and its exit code.
func runToEnd(t *testing.T, extra []string, arguments ...string) (stdout, stderr string, code int) {
	t.Helper()
	c := command(t, extra, arguments...)
	var out, log bytes.Buffer
	c.Stdout, c.Stderr = &out, &log
	err := c.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), log.String(), c.ProcessState.ExitCode()
}

var client = &http.Client{Timeout: patience}

// post sends a JSON body and returns an error unless the answer is 200.
func post(url, body string) error {
	response, err := client.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("POST %s: %s: %s", url, response.Status, text)
	}
	return err
}

// get decodes the JSON answer of a GET that must succeed.
func get(t *testing.T, url string, into any) {
	t.Helper()
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s: %s", url, response.Status, text)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("GET %s: %v in %s", url, err, text)
	}
}

// rows is the answer of a query for raw samples with epoch=ns.
type rows struct {
	DataPoints []struct {
		Timestamp int64   `json:"timestamp"`
		Value     float64 `json:"value"`
	} `json:"data_points"`
	NextCursor *string `json:"next_cursor"`
}
