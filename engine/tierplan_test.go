package engine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flopynet/collector/model"
)

// planBase is the start of a partition in each tier; plans are written in hours and minutes since then.
var planBase = 304 * model.Tier1h.PartitionWidth()

// clock reads "30:05", hours and minutes since planBase.
func clock(t testing.TB, text string) int64 {
	t.Helper()
	var hours, minutes int64
	if _, err := fmt.Sscanf(text, "%d:%d", &hours, &minutes); err != nil {
		t.Fatalf("time %q: %v", text, err)
	}
	return planBase + hours*hour + minutes*int64(time.Minute)
}

// writeSteps writes steps as "1h 0:00-5:00", one that is not exact with a ~ before it.
func writeSteps(steps []step) string {
	write := func(at int64) string {
		minutes := (at - planBase) / int64(time.Minute)
		return fmt.Sprintf("%d:%02d", minutes/60, minutes%60)
	}
	var out []string
	for _, s := range steps {
		mark := ""
		if !s.exact {
			mark = "~"
		}
		out = append(out, fmt.Sprintf("%s%s %s-%s", mark, s.tier, write(s.from), write(s.to)))
	}
	return strings.Join(out, ", ")
}

// planCase describes what is stored and asked for. Unless it says otherwise, days 0 and 1 have raw samples and
// are rolled up, day 2 is so through 58:00 and what came then is in the head, and nothing has expired.
type planCase struct {
	name     string
	from, to string
	step     time.Duration // of the buckets; 0: the range is one
	without  string        // tiers that can't give the functions, or have nothing stored
	days     string        // with raw samples, if not "0 1 2"
	floors   string        // of raw, 5m and 1h, if any is not "0:00"
	want     string
}

func (c planCase) plan(t testing.TB) *tierPlan {
	t.Helper()
	p := &tierPlan{from: clock(t, c.from), to: clock(t, c.to), raw: make(map[model.Partition]partitionMeta)}
	p.edges = []int64{p.from, p.to}
	if width := int64(c.step); width > 0 {
		for edge := p.from - (p.from-planBase)%width; edge < p.to+width; edge += width {
			p.edges = append(p.edges, edge)
		}
		slices.Sort(p.edges)
	}
	if c.days == "" {
		c.days = "0 1 2"
	}
	for _, text := range strings.Fields(c.days) {
		day := map[string]int64{"0": 0, "1": 1, "2": 2, "head": 3}[text]
		begin := planBase + day*24*hour
		meta := partitionMeta{RolledThrough: begin + 24*hour}
		switch text {
		case "2":
			meta.RolledThrough = clock(t, "58:00")
		case "head":
			meta.RolledThrough = 0
		}
		p.raw[model.TierRaw.PartitionOf(begin)] = meta
	}
	for _, tier := range []model.Tier{model.Tier5m, model.Tier1h} {
		p.serves[tier] = !strings.Contains(c.without, "function of "+tier.String())
		p.tiers[tier] = map[model.Partition]bool{}
		if !strings.Contains(c.without, "points of "+tier.String()) {
			p.tiers[tier][tier.PartitionOf(planBase)] = true
		}
	}
	for tier, text := range strings.Fields(c.floors) {
		p.floors.tiers[tier] = clock(t, text)
	}
	return p
}

func TestTierPlan(t *testing.T) {
	const minute = time.Minute
	for _, c := range []planCase{
		// Granularities.
		{name: "1m", from: "0:00", to: "48:00", step: minute, want: "raw 0:00-24:00, raw 24:00-48:00"},
		{name: "5m", from: "0:00", to: "48:00", step: 5 * minute, want: "5m 0:00-48:00"},
		{name: "7m", from: "0:00", to: "3:00", step: 7 * minute, want: "raw 0:00-3:00"},
		{name: "10m", from: "0:00", to: "3:00", step: 10 * minute, want: "5m 0:00-3:00"},
		{name: "1h", from: "0:00", to: "48:00", step: time.Hour, want: "1h 0:00-48:00"},
		{name: "90m", from: "0:00", to: "6:00", step: 90 * minute,
			want: "1h 0:00-1:00, 5m 1:00-2:00, 1h 2:00-4:00, 5m 4:00-5:00, 1h 5:00-6:00"},
		{name: "97m", from: "0:00", to: "4:00", step: 97 * minute,
			want: "1h 0:00-1:00, raw 1:00-2:00, 1h 2:00-3:00, raw 3:00-4:00"},
		{name: "1d", from: "0:00", to: "48:00", step: 24 * time.Hour, want: "1h 0:00-48:00"},
		{name: "the range", from: "5:00", to: "47:00", want: "1h 5:00-47:00"},

		// Ranges that are not aligned.
		{name: "1h from the middle of a minute bucket", from: "10:03", to: "13:20", step: time.Hour,
			want: "raw 10:03-11:00, 1h 11:00-13:00, 5m 13:00-13:20"},
		{name: "the range, by five minutes", from: "10:05", to: "12:55", want: "5m 10:05-11:00, 1h 11:00-12:00, 5m 12:00-12:55"},
		{name: "inside an hour", from: "10:03", to: "10:58", want: "raw 10:03-10:58"},
		{name: "inside an hour, by five minutes", from: "10:05", to: "10:55", want: "5m 10:05-10:55"},
		{name: "nothing", from: "10:00", to: "10:00", want: ""},

		// What is rolled up.
		{name: "as far as it is", from: "40:00", to: "62:00", step: time.Hour, want: "1h 40:00-58:00, raw 58:00-62:00"},
		{name: "a day in the head", from: "70:00", to: "80:00", step: time.Hour, days: "0 1 2 head", want: "raw 70:00-72:00, raw 72:00-80:00"},
		{name: "nothing but the head", from: "70:00", to: "80:00", days: "head", without: "points of 5m, points of 1h", want: "raw 72:00-80:00"},
		{name: "no points in the partition", from: "0:00", to: "30:00", step: time.Hour, without: "points of 1h, points of 5m",
			want: "raw 0:00-24:00, raw 24:00-30:00"},

		// What a tier can't give.
		{name: "percentiles from sketches by 90m", from: "0:00", to: "3:00", step: 90 * minute, without: "function of 5m",
			want: "1h 0:00-1:00, raw 1:00-2:00, 1h 2:00-3:00"},
		{name: "exact percentiles", from: "0:00", to: "30:00", step: time.Hour, without: "function of 5m, function of 1h",
			want: "raw 0:00-24:00, raw 24:00-30:00"},

		// Raw samples that are hidden, and still stored.
		{name: "hidden raw, 1m", from: "24:00", to: "36:00", step: minute, floors: "30:00 0:00 0:00", want: "~5m 24:00-30:00, raw 30:00-36:00"},
		{name: "hidden raw inside an hour", from: "24:00", to: "36:00", step: minute, floors: "30:20 0:00 0:00", want: "~5m 24:00-31:00, raw 31:00-36:00"},
		{name: "hidden raw, from inside the hour", from: "30:30", to: "32:00", step: minute, floors: "30:20 0:00 0:00", want: "raw 30:30-32:00"},
		{name: "hidden raw, 1h", from: "24:00", to: "36:00", step: time.Hour, floors: "30:20 0:00 0:00", want: "1h 24:00-36:00"},
		{name: "hidden raw that is not rolled up", from: "56:00", to: "61:00", step: minute, floors: "60:00 0:00 0:00",
			want: "~5m 56:00-58:00, raw 58:00-61:00"},
		{name: "hidden raw without points", from: "24:00", to: "36:00", step: minute, floors: "30:20 0:00 0:00",
			without: "points of 5m, points of 1h", want: "raw 24:00-36:00"},
		{name: "hidden raw and sketches", from: "29:30", to: "31:00", step: minute, floors: "30:30 0:00 0:00", without: "function of 5m",
			want: "~1h 29:00-31:00"},

		// Raw samples that were dropped.
		{name: "dropped, 1m", from: "0:10", to: "26:00", step: minute, days: "1 2", floors: "24:00 0:00 0:00", want: "~5m 0:00-24:00, raw 24:00-26:00"},
		{name: "dropped, 5m", from: "0:10", to: "3:00", step: 5 * minute, days: "1 2", floors: "24:00 0:00 0:00", want: "5m 0:10-3:00"},
		{name: "dropped, the end not aligned", from: "1:00", to: "3:03", step: time.Hour, days: "1 2", floors: "24:00 0:00 0:00",
			want: "1h 1:00-3:00, ~5m 3:00-3:03"},
		{name: "dropped, without points of 5m", from: "0:10", to: "3:00", step: 5 * minute, days: "1 2", floors: "24:00 0:00 0:00", without: "points of 5m",
			want: "~1h 0:00-3:00"},
		{name: "dropped, exact percentiles", from: "0:00", to: "26:00", step: time.Hour, days: "1 2", floors: "24:00 0:00 0:00",
			without: "function of 5m, function of 1h", want: "~1h 0:00-24:00, raw 24:00-26:00"},

		// Points that have expired.
		{name: "5m expired", from: "0:00", to: "48:00", step: 5 * minute, days: "2", floors: "48:00 24:00 0:00", want: "~1h 0:00-24:00, 5m 24:00-48:00"},
		{name: "1h expired inside an hour", from: "0:00", to: "24:00", step: time.Hour, days: "1", floors: "24:00 24:00 12:30", want: "1h 13:00-24:00"},
		{name: "5m expired, raw stored", from: "0:00", to: "30:00", step: 5 * minute, floors: "0:00 24:00 0:00", want: "raw 0:00-24:00, 5m 24:00-30:00"},
		{name: "all tiers alike", from: "29:00", to: "33:00", step: time.Hour, floors: "30:20 30:20 30:20", want: "raw 30:20-31:00, 1h 31:00-33:00"},
		{name: "all tiers alike, without points", from: "29:00", to: "33:00", step: time.Hour, floors: "30:20 30:20 30:20",
			without: "points of 5m, points of 1h", want: "raw 30:20-33:00"},
		{name: "all expired", from: "0:00", to: "24:00", step: time.Hour, floors: "24:00 24:00 24:00", want: ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := writeSteps(c.plan(t).steps()); got != c.want {
				t.Errorf("plan %s\nwant %s", got, c.want)
			}
		})
	}
}

// TestTierPlanPartitions checks the partitions of the steps, which end where those of their tier do.
func TestTierPlanPartitions(t *testing.T) {
	p := planCase{from: "0:00", to: "300:00", step: time.Hour, without: "points of 1h", floors: "192:00 0:00 0:00"}.plan(t)
	p.tiers[model.Tier5m][model.Tier5m.PartitionOf(planBase)+1] = true
	got := p.steps()
	first5m := model.Tier5m.PartitionOf(planBase)
	want := []step{
		{tier: model.Tier5m, partition: first5m, from: planBase, to: clock(t, "58:00"), exact: true},
		{tier: model.TierRaw, partition: model.TierRaw.PartitionOf(planBase) + 2, from: clock(t, "58:00"), to: clock(t, "72:00"), exact: true},
		{tier: model.Tier5m, partition: first5m, from: clock(t, "72:00"), to: clock(t, "192:00"), exact: true},
		{tier: model.Tier5m, partition: first5m + 1, from: clock(t, "192:00"), to: clock(t, "300:00"), exact: true},
	}
	if !slices.Equal(got, want) {
		t.Errorf("plan %s with partitions %+v\nwant %+v", writeSteps(got), got, want)
	}
}

// TestTierPlanProperties checks of random plans what must hold of all: steps lie in order in the range, widened
// to whole hours where they are not exact, no exact step hides or cuts anything, and each lies in its partition.
func TestTierPlanProperties(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	write := func(minutes int) string { return fmt.Sprintf("%d:%02d", minutes/60, minutes%60) }
	for range 2000 {
		from := random.IntN(96 * 60)
		raw := random.IntN(90 * 60)
		fives := random.IntN(raw + 1)
		c := planCase{from: write(from), to: write(from + 1 + random.IntN(2000)), days: pick(random, "0 1 2", "1 2", "2 head", "0 1 2 head"),
			step:    pick(random, 0, time.Minute, 5*time.Minute, 7*time.Minute, time.Hour, 90*time.Minute, 24*time.Hour),
			without: pick(random, "", "function of 5m", "function of 5m, function of 1h", "points of 1h, points of 5m"),
			floors:  pick(random, "", fmt.Sprintf("%s %s %s", write(raw), write(fives), write(random.IntN(fives+1))))}
		p := c.plan(t)
		steps := p.steps()
		fail := func(s step, what string) {
			t.Fatalf("seed %d: %+v: %s in %s: %s", seed, c, writeSteps([]step{s}), writeSteps(steps), what)
		}
		last := p.from - p.from%hour
		for _, s := range steps {
			begin, end := s.tier.Bounds(s.partition)
			switch {
			case s.from >= s.to || s.from < last || s.to > p.to || s.exact && s.from < p.from:
				fail(s, "is out of order or range")
			case s.from < begin || s.to > end:
				fail(s, "is not in its partition")
			case s.tier != model.TierRaw && s.from-s.from%hour < p.floors.tiers[s.tier]:
				fail(s, "is hidden")
			case s.tier != model.TierRaw && s.exact && slices.ContainsFunc(append(p.edges, s.from, s.to), func(edge int64) bool {
				return edge >= s.from && edge <= s.to && edge%s.tier.Width() != 0
			}):
				fail(s, "is exact and cut by an edge")
			}
			last = s.to
		}
	}
}
