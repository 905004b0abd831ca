package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

// readyTimeout bounds how long a system may take to be ready.
const readyTimeout = 2 * time.Minute

// serveMode says how a system is started, as far as it has a choice.
type serveMode struct {
	uncached bool   // no answers are kept from one query to the next
	profile  string // a file name for the profiles of this process; empty: none
}

// System is a program under test. Its methods speak its protocol; how it fares is measured by others.
type System interface {
	Key() string  // as in --peers
	Name() string // as in the tables
	Find() error  // an error says what is missing
	Version(ctx context.Context) string

	// takes tells whether it reads an encoding, and payload how it wants it.
	takes(encoding string) bool
	payload(encoding string, hosts int) (post, func() encoder)

	// command is what starts it with its data in a directory that exists, and readyPath answers 2xx once it
	// is ready. prepare is called once for a new directory.
	command(directory, address string, mode serveMode) (*exec.Cmd, error)
	readyPath() string
	prepare(c *client) error

	// settle writes all to disk in its final form, and size is what is on disk then, in bytes.
	settle(ctx context.Context, s *server) error
	size(s *server) (int64, error)

	// ask is the path that asks a question, empty where it can't be asked, and read takes the answer apart.
	ask(q question) string
	read(q question, body []byte) ([]row, error)

	// semantics says what it means by a percentile, and by what share its answers to a question may differ from
	// exact ones.
	semantics(q question) (ranks ranking, tolerance float64)

	// exports are the formats in which it gives samples away.
	exports() []exportFormat
}

// peers are the systems to compare with.
func peers() []System {
	return []System{&victoria{}, &prometheus{}, &influx{}}
}

// PeerNames are what --peers may have.
func PeerNames() []string {
	var names []string
	for _, peer := range peers() {
		names = append(names, peer.Key())
	}
	return names
}

// findProgram looks a program up, and where Debian puts it although it isn't in every PATH.
func findProgram(title string, names ...string) (string, error) {
	for _, name := range names {
		for _, candidate := range []string{name, filepath.Join("/usr/sbin", name)} {
			if path, err := exec.LookPath(candidate); err == nil {
				return path, nil
			}
		}
	}
	return "", fmt.Errorf("%s is not installed (there is no program %s); bench/setup.sh installs it on Debian", title, strings.Join(names, " or "))
}

// versionOf runs a program for the line of its output that names its version.
func versionOf(ctx context.Context, program string, arguments ...string) string {
	output, err := exec.CommandContext(ctx, program, arguments...).CombinedOutput()
	line, _, _ := strings.Cut(strings.TrimSpace(string(output)), "\n")
	if err != nil || line == "" {
		return "unknown"
	}
	return line
}

// packageVersion is the version of an installed Debian package, empty where there is none.
func packageVersion(ctx context.Context, name string) string {
	output, err := exec.CommandContext(ctx, "dpkg-query", "--show", "--showformat=${Version}", name).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(output))
}

// server is a system that runs.
type server struct {
	system    System
	process   *Process
	client    *client
	address   string
	directory string
	started   time.Time
}

// startNew starts a system with no data.
func (run *Run) startNew(ctx context.Context, system System, mode serveMode) (*server, error) {
	directory, err := run.newDirectory(system.Key())
	if err != nil {
		return nil, err
	}
	s, err := run.start(ctx, system, directory, mode)
	if err != nil {
		return nil, err
	}
	if err := system.prepare(s.client); err != nil {
		s.process.Kill()
		return nil, fmt.Errorf("preparing %s: %w", system.Name(), err)
	}
	return s, nil
}

// start starts a system on a directory and waits until it is ready.
func (run *Run) start(ctx context.Context, system System, directory string, mode serveMode) (*server, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	command, err := system.command(directory, address, mode)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	process, err := run.processes.start(command, directory+".log")
	if err != nil {
		return nil, err
	}
	s := &server{system: system, process: process, client: newClient(address), address: address, directory: directory, started: began}
	var response fasthttp.Response
	err = process.await(ctx, readyTimeout, func() error {
		_, err := s.client.get(system.readyPath(), &response)
		return err
	})
	if err != nil {
		process.Kill()
		return nil, err
	}
	return s, nil
}

// restart ends a system in order and starts it again on its data. Where it fails, it returns what it was given, to
// be discarded.
func (run *Run) restart(ctx context.Context, s *server, mode serveMode) (*server, error) {
	if err := s.stop(); err != nil {
		return s, err
	}
	return run.startAgain(ctx, s, mode)
}

// startAgain is restart for one that was stopped.
func (run *Run) startAgain(ctx context.Context, s *server, mode serveMode) (*server, error) {
	back, err := run.start(ctx, s.system, s.directory, mode)
	if err != nil {
		return s, err
	}
	return back, nil
}

// stop ends it in order and leaves its data.
func (s *server) stop() error {
	s.client.close()
	return s.process.Stop()
}

// discard ends it and removes its data.
func (s *server) discard() error {
	s.client.close()
	s.process.Kill()
	return errors.Join(os.RemoveAll(s.directory), os.Remove(s.directory+".log"))
}

// hasEnded returns an error if its process has ended by itself.
func (s *server) hasEnded() error {
	select {
	case <-s.process.exited:
		return s.process.failure()
	default:
		return nil
	}
}
