package flopynet

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/disk"

	"github.com/flopynet/collector/model"
)

func TestProcessorShares(t *testing.T) {
	earlier := cpu.TimesStat{User: 100, Nice: 10, System: 50, Irq: 1, Softirq: 2, Steal: 3, Idle: 1000, Iowait: 20, Guest: 40, GuestNice: 5}
	cases := []struct {
		name    string
		earlier cpu.TimesStat
		change  func(*cpu.TimesStat)
		want    []float64 // all, user, system, iowait, steal; none: no measurement
	}{
		{"no earlier reading", cpu.TimesStat{}, func(*cpu.TimesStat) {}, nil},
		{"no time passed", earlier, func(*cpu.TimesStat) {}, nil},
		{"idle", earlier, func(t *cpu.TimesStat) { t.Idle += 10 }, []float64{0, 0, 0, 0, 0}},
		{"all busy", earlier, func(t *cpu.TimesStat) { t.User += 8; t.System += 2 }, []float64{100, 80, 20, 0, 0}},
		{"each share", earlier, func(t *cpu.TimesStat) {
			t.User, t.Nice, t.System, t.Irq, t.Softirq, t.Steal = t.User+8, t.Nice+2, t.System+3, t.Irq+1, t.Softirq+1, t.Steal+5
			t.Idle, t.Iowait = t.Idle+70, t.Iowait+10
		}, []float64{20, 10, 5, 10, 5}},
		{"guest time is user time", earlier, func(t *cpu.TimesStat) { t.User += 5; t.Guest += 5; t.Idle += 5 }, []float64{50, 50, 0, 0, 0}},
		{"iowait runs backwards", earlier, func(t *cpu.TimesStat) { t.Iowait -= 5; t.Idle += 10; t.User += 5 }, []float64{50, 50, 0, 0, 0}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			later := c.earlier
			c.change(&later)
			var got []float64
			for _, m := range processorShares(c.earlier, later) {
				got = append(got, m.value)
			}
			near := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-9 })
			if diff := cmp.Diff(c.want, got, near); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestMountPoints(t *testing.T) {
	partition := func(device, path, kind string) disk.PartitionStat {
		return disk.PartitionStat{Device: device, Mountpoint: path, Fstype: kind}
	}
	cases := []struct {
		name       string
		partitions []disk.PartitionStat
		want       []string
	}{
		{"none", nil, []string{"/"}},
		{"two devices", []disk.PartitionStat{partition("b", "/srv", "xfs"), partition("a", "/", "ext4")}, []string{"/", "/srv"}},
		{"bind mounts", []disk.PartitionStat{partition("a", "/mnt/x", "ext4"), partition("a", "/y", "ext4"), partition("a", "/x", "ext4")}, []string{"/x"}},
		{"images", []disk.PartitionStat{partition("l", "/snap/core", "squashfs"), partition("a", "/", "ext4")}, []string{"/"}},
		{"a container's files", []disk.PartitionStat{partition("a", "/etc/hosts", "ext4"), partition("a", "/data", "ext4")}, []string{"/data"}},
		{"files alone", []disk.PartitionStat{partition("a", "/etc/hosts", "ext4")}, []string{"/"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := mountPoints(c.partitions, func(path string) bool { return path != "/etc/hosts" })
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestProbesOfThisMachine looks at real measurements; a probe may fail where the machine lacks its part.
func TestProbesOfThisMachine(t *testing.T) {
	type identity struct {
		name string
		tag  model.Tag
	}
	seen := map[identity]bool{}
	for _, p := range systemProbes(t.Context()) {
		measurements, err := p.read(t.Context())
		t.Logf("%s: %d measurements, error %v", p.name, len(measurements), err)
		for _, m := range measurements {
			if id := (identity{m.name, m.tag}); seen[id] {
				t.Errorf("%v is measured twice", id)
			} else {
				seen[id] = true
			}
			if math.IsNaN(m.value) || math.IsInf(m.value, 0) || m.value < 0 {
				t.Errorf("%s is %v", m.name, m.value)
			}
			if m.unit == unitPercent && m.value > 100 {
				t.Errorf("%s is %v percent", m.name, m.value)
			}
			if err := model.CheckUnit(m.unit); err != nil {
				t.Errorf("%s: %v", m.name, err)
			}
		}
	}
	if !seen[identity{name: "memory_total_bytes"}] {
		t.Error("not even the size of the memory could be measured")
	}
}
