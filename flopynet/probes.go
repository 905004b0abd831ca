package flopynet

import (
	"cmp"
	"context"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/load"
	"github.com/shirou/gopsutil/v4/mem"
	"github.com/shirou/gopsutil/v4/net"

	"github.com/flopynet/collector/model"
)

// Units of what is measured.
const (
	unitPercent = "percent"
	unitBytes   = "bytes"
	unitCount   = "count"
)

// measurement is one value of this machine.
type measurement struct {
	name  string
	unit  string
	value float64
	tag   model.Tag  // which device, path or interface; empty when there is but one
	more  model.Tags // beside it
}

// probe reads one part of the machine. It may return measurements beside an error.
type probe struct {
	name string
	read func(context.Context) ([]measurement, error)
}

// systemProbes returns the probes of this machine; the CPU's takes its first reading here.
func systemProbes(ctx context.Context) []probe {
	processor := newProcessorProbe(ctx)
	return []probe{
		{"cpu", processor.read}, {"load", readLoad}, {"memory", readMemory}, {"swap", readSwap},
		{"disk space", readDiskSpace}, {"disk traffic", readDiskTraffic}, {"network", readNetwork},
	}
}

// processorProbe turns the processors' ever-growing times into shares of the time since the last reading.
type processorProbe struct{ previous cpu.TimesStat }

func newProcessorProbe(ctx context.Context) *processorProbe {
	p := &processorProbe{}
	if times, err := cpu.TimesWithContext(ctx, false); err == nil && len(times) == 1 {
		p.previous = times[0]
	}
	return p
}

func (p *processorProbe) read(ctx context.Context) ([]measurement, error) {
	times, err := cpu.TimesWithContext(ctx, false)
	if err != nil || len(times) == 0 {
		return nil, err
	}
	shares := processorShares(p.previous, times[0])
	p.previous = times[0]
	return shares, nil
}

// processorShares gives percentages of all processors together. It gives none when there is no earlier
// reading, or no time has passed. Guest time is part of user time already.
func processorShares(earlier, later cpu.TimesStat) []measurement {
	total := allTime(later) - allTime(earlier)
	if allTime(earlier) == 0 || total <= 0 {
		return nil
	}
	share := func(name string, before, after float64) measurement {
		// iowait may run backwards on Linux, hence the bounds.
		return measurement{name: name, unit: unitPercent, value: min(max(100*(after-before)/total, 0), 100)}
	}
	return []measurement{
		share("cpu_usage", busyTime(earlier), busyTime(later)),
		share("cpu_usage_user", earlier.User+earlier.Nice, later.User+later.Nice),
		share("cpu_usage_system", earlier.System+earlier.Irq+earlier.Softirq, later.System+later.Irq+later.Softirq),
		share("cpu_usage_iowait", earlier.Iowait, later.Iowait),
		share("cpu_usage_steal", earlier.Steal, later.Steal),
	}
}

func busyTime(t cpu.TimesStat) float64 {
	return t.User + t.Nice + t.System + t.Irq + t.Softirq + t.Steal
}

func allTime(t cpu.TimesStat) float64 { return busyTime(t) + t.Idle + t.Iowait }

func readLoad(ctx context.Context) ([]measurement, error) {
	average, err := load.AvgWithContext(ctx)
	if err != nil {
		return nil, err
	}
	return []measurement{
		{name: "load1", value: average.Load1}, {name: "load5", value: average.Load5}, {name: "load15", value: average.Load15},
	}, nil
}

func readMemory(ctx context.Context) ([]measurement, error) {
	memory, err := mem.VirtualMemoryWithContext(ctx)
	if err != nil {
		return nil, err
	}
	return []measurement{
		{name: "memory_total_bytes", unit: unitBytes, value: float64(memory.Total)},
		{name: "memory_used_bytes", unit: unitBytes, value: float64(memory.Used)},
		{name: "memory_available_bytes", unit: unitBytes, value: float64(memory.Available)},
		{name: "memory_used_percent", unit: unitPercent, value: memory.UsedPercent},
	}, nil
}

func readSwap(ctx context.Context) ([]measurement, error) {
	swap, err := mem.SwapMemoryWithContext(ctx)
	if err != nil {
		return nil, err
	}
	return []measurement{
		{name: "swap_total_bytes", unit: unitBytes, value: float64(swap.Total)},
		{name: "swap_used_bytes", unit: unitBytes, value: float64(swap.Used)},
	}, nil
}

// readDiskSpace measures each file system on a device once. One that fails leaves the others.
func readDiskSpace(ctx context.Context) ([]measurement, error) {
	partitions, err := disk.PartitionsWithContext(ctx, false)
	var measurements []measurement
	for _, path := range mountPoints(partitions, isDirectory) {
		usage, usageErr := disk.UsageWithContext(ctx, path)
		if usageErr != nil {
			err = usageErr
			continue
		}
		tag := model.Tag{Key: "path", Value: path}
		measurements = append(measurements,
			measurement{name: "disk_total_bytes", unit: unitBytes, value: float64(usage.Total), tag: tag},
			measurement{name: "disk_used_bytes", unit: unitBytes, value: float64(usage.Used), tag: tag},
			measurement{name: "disk_free_bytes", unit: unitBytes, value: float64(usage.Free), tag: tag},
			measurement{name: "disk_used_percent", unit: unitPercent, value: usage.UsedPercent, tag: tag})
	}
	return measurements, err
}

// mountPoints picks one path, the shortest, for each device. Left out are images that are always full
// (squashfs, as of snaps) and single files mounted into a container; where nothing is left, as in most
// containers, "/" is measured.
func mountPoints(partitions []disk.PartitionStat, isDirectory func(string) bool) []string {
	shortest := map[string]string{}
	for _, partition := range partitions {
		path := partition.Mountpoint
		if partition.Fstype == "squashfs" || !isDirectory(path) {
			continue
		}
		known, found := shortest[partition.Device]
		if !found || cmp.Or(cmp.Compare(len(path), len(known)), strings.Compare(path, known)) < 0 {
			shortest[partition.Device] = path
		}
	}
	if len(shortest) == 0 {
		return []string{"/"}
	}
	return slices.Sorted(maps.Values(shortest))
}

func isDirectory(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func readDiskTraffic(ctx context.Context) ([]measurement, error) {
	devices, err := disk.IOCountersWithContext(ctx)
	var measurements []measurement
	for _, name := range slices.Sorted(maps.Keys(devices)) {
		if strings.HasPrefix(name, "loop") || strings.HasPrefix(name, "ram") {
			continue // no disks, and there are many
		}
		device, tag := devices[name], model.Tag{Key: "device", Value: name}
		measurements = append(measurements,
			measurement{name: "disk_read_bytes", unit: unitBytes, value: float64(device.ReadBytes), tag: tag},
			measurement{name: "disk_written_bytes", unit: unitBytes, value: float64(device.WriteBytes), tag: tag},
			measurement{name: "disk_reads", unit: unitCount, value: float64(device.ReadCount), tag: tag},
			measurement{name: "disk_writes", unit: unitCount, value: float64(device.WriteCount), tag: tag})
	}
	return measurements, err
}

func readNetwork(ctx context.Context) ([]measurement, error) {
	interfaces, err := net.IOCountersWithContext(ctx, true)
	var measurements []measurement
	for _, traffic := range interfaces {
		if strings.HasPrefix(traffic.Name, "veth") {
			continue // a container's other end: a new random name, so new series, at each of its starts
		}
		tag := model.Tag{Key: "interface", Value: traffic.Name}
		counter := func(name, unit string, value uint64) measurement {
			return measurement{name: name, unit: unit, value: float64(value), tag: tag}
		}
		measurements = append(measurements,
			counter("network_bytes_sent", unitBytes, traffic.BytesSent),
			counter("network_bytes_received", unitBytes, traffic.BytesRecv),
			counter("network_packets_sent", unitCount, traffic.PacketsSent),
			counter("network_packets_received", unitCount, traffic.PacketsRecv),
			counter("network_errors_sent", unitCount, traffic.Errout),
			counter("network_errors_received", unitCount, traffic.Errin),
			counter("network_drops_sent", unitCount, traffic.Dropout),
			counter("network_drops_received", unitCount, traffic.Dropin))
	}
	return measurements, err
}
