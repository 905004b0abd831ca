package flopynet

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/shirou/gopsutil/v4/cpu"
)

// The usage of the processors is that of the time between two readings, which are at least shortestSpan and at
// most longestSpan apart.
const (
	shortestSpan = 250 * time.Millisecond
	longestSpan  = 10 * time.Second
)

// Machine measures this machine when it is asked to. It may be used by several goroutines at a time.
type Machine struct {
	now func() time.Time

	mu       sync.Mutex
	previous cpu.TimesStat
	at       time.Time // of previous; zero: there is none
	usage    float64   // of the last span
	known    bool      // there was one
}

// MachineUsage is what a machine uses at one moment.
type MachineUsage struct {
	CPUPercent    float64 // of all processors together
	MemoryBytes   uint64
	DiskBytes     uint64 // used, of all file systems on devices
	BytesSent     uint64 // by all interfaces but the loopback, since the machine's start
	BytesReceived uint64
}

// NewMachine returns a Machine. now tells the time.
func NewMachine(now func() time.Time) *Machine { return &Machine{now: now} }

// Measure measures the machine. When nobody has asked for a while it waits a quarter of a second between two
// readings of the processors.
func (m *Machine) Measure(ctx context.Context) (MachineUsage, error) {
	var usage MachineUsage
	var err error
	if usage.CPUPercent, err = m.processors(ctx); err != nil {
		return MachineUsage{}, fmt.Errorf("measure the processors: %w", err)
	}
	for _, read := range []func(context.Context) ([]measurement, error){readMemory, readDiskSpace, readNetwork} {
		measurements, readErr := read(ctx)
		if len(measurements) == 0 && readErr != nil {
			err = errors.Join(err, readErr)
		}
		for _, one := range measurements {
			switch one.name {
			case "memory_used_bytes":
				usage.MemoryBytes = uint64(one.value)
			case "disk_used_bytes":
				usage.DiskBytes += uint64(one.value)
			case "network_bytes_sent":
				usage.BytesSent += offLoopback(one)
			case "network_bytes_received":
				usage.BytesReceived += offLoopback(one)
			}
		}
	}
	return usage, err
}

// offLoopback is the traffic of an interface that leads out of the machine.
func offLoopback(one measurement) uint64 {
	if one.tag.Value == "lo" || one.tag.Value == "lo0" {
		return 0
	}
	return uint64(one.value)
}

// processors returns the usage since the reading before, or of the quarter of a second that it waits.
func (m *Machine) processors(ctx context.Context) (float64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	age := m.now().Sub(m.at)
	if m.known && age >= 0 && age < shortestSpan {
		return m.usage, nil
	}
	if m.at.IsZero() || age < shortestSpan || age > longestSpan {
		if err := m.read(ctx); err != nil {
			return 0, err
		}
		timer := time.NewTimer(shortestSpan)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-timer.C:
		}
	}
	earlier := m.previous
	if err := m.read(ctx); err != nil {
		return 0, err
	}
	for _, share := range processorShares(earlier, m.previous) {
		if share.name == "cpu_usage" {
			m.usage, m.known = share.value, true
		}
	}
	return m.usage, nil
}

// read takes a reading. The caller holds mu.
func (m *Machine) read(ctx context.Context) error {
	times, err := cpu.TimesWithContext(ctx, false)
	if err != nil {
		return err
	}
	if len(times) == 0 {
		return errors.New("the system tells no times")
	}
	m.previous, m.at = times[0], m.now()
	return nil
}
