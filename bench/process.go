package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// stopTimeout is how long a program may take to end in order before it is killed.
const stopTimeout = 30 * time.Second

// clockTick is the unit of CPU times in /proc, which is the same for all architectures of Linux.
const clockTick = time.Second / 100

// Process is a program that the harness started.
type Process struct {
	command *exec.Cmd
	logPath string
	exited  chan struct{} // closed once it has ended
}

// processes are those that a run has started and not yet ended, so that none outlives it.
type processes struct {
	mu      sync.Mutex
	running []*Process
}

// start runs a command, with its output in the file logPath.
func (p *processes) start(command *exec.Cmd, logPath string) (*Process, error) {
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close() //nolint:errcheck // the program has its own handle of it
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", filepath.Base(command.Path), err)
	}
	process := &Process{command: command, logPath: logPath, exited: make(chan struct{})}
	go func() {
		_ = command.Wait() // how it ended is in command.ProcessState
		close(process.exited)
	}()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running = append(p.running, process)
	return process, nil
}

// killAll ends what still runs.
func (p *processes) killAll() {
	p.mu.Lock()
	running := slices.Clone(p.running)
	p.mu.Unlock()
	for _, process := range running {
		process.Kill()
	}
}

// Kill ends it at once, as kill -9 does, and waits for that.
func (p *Process) Kill() {
	_ = p.command.Process.Kill() // it fails for one that has ended
	<-p.exited
}

// Stop asks it to end and waits until it has. One that doesn't is killed, and that is an error.
func (p *Process) Stop() error {
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.exited:
		return nil
	case <-time.After(stopTimeout):
		p.Kill()
		return fmt.Errorf("%s didn't end within %v and was killed", filepath.Base(p.command.Path), stopTimeout)
	}
}

// CPU returns the CPU time it has used so far, of user and system, in steps of 10 ms.
func (p *Process) CPU() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.command.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("the CPU time of a process is read from Linux' /proc: %w", err)
	}
	// The second field is the name in parentheses, which may have spaces and parentheses in it.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat has %d fields behind the name, fewer than 13", p.command.Process.Pid, len(fields))
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * clockTick, errors.Join(err1, err2)
}

// PeakRSS returns the most memory it has had resident so far, in bytes.
func (p *Process) PeakRSS() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.command.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("the memory of a process is read from Linux' /proc: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, found := strings.CutPrefix(line, "VmHWM:"); found {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/%d/status has no VmHWM", p.command.Process.Pid)
}

// failure says that it ended when it shouldn't have, with the end of its log.
func (p *Process) failure() error {
	text, err := os.ReadFile(p.logPath)
	if err != nil {
		text = []byte(err.Error())
	}
	text = text[max(0, len(text)-2000):]
	return fmt.Errorf("%s ended by itself (%v); the end of its log:\n%s", filepath.Base(p.command.Path), p.command.ProcessState, text)
}

// await calls ready until it returns nil, the process ends, the context is done or the time is up.
func (p *Process) await(ctx context.Context, patience time.Duration, ready func() error) error {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-p.exited:
			return p.failure()
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline.C:
			return fmt.Errorf("%s wasn't ready after %v: %w", filepath.Base(p.command.Path), patience, err)
		case <-tick.C:
		}
	}
}

// freeAddress returns an address of the loopback interface that nobody listens on.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	address := listener.Addr().String()
	return address, listener.Close()
}

// sizeOf returns the bytes on disk of all files below a directory that keep wants, by their path in it: without
// holes, and without what the file system rounds up. Files may come and go meanwhile.
func sizeOf(directory string, keep func(path string) bool) (int64, error) {
	var total int64
	err := filepath.WalkDir(directory, func(path string, entry os.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil || entry.IsDir() {
			return err
		}
		inside, err := filepath.Rel(directory, path)
		if err != nil || !keep(inside) {
			return err
		}
		info, err := entry.Info()
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err == nil {
			total += min(info.Size(), allocated(info))
		}
		return err
	})
	return total, err
}
