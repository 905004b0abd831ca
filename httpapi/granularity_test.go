package httpapi

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flopynet/collector/internal/timefmt"
	"github.com/flopynet/collector/model"
)

func mustTime(t testing.TB, text string) int64 {
	t.Helper()
	ns, err := timefmt.ParseTime(text, 0)
	if err != nil {
		t.Fatal(err)
	}
	return ns
}

func mustZone(t testing.TB, name string) *time.Location {
	t.Helper()
	zone, err := loadZone(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func TestBucketEdges(t *testing.T) {
	const utc, berlin, newYork, lordHowe, saoPaulo, apia = "UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Pacific/Apia"
	for _, test := range []struct{ name, width, zone, from, to, want string }{
		{"aligned", "5m", utc, "2024-01-15T10:00:00Z", "2024-01-15T10:10:00Z", "01-15T10:00 01-15T10:05 01-15T10:10"},
		{"first label before from", "5m", utc, "2024-01-15T10:02:00Z", "2024-01-15T10:06:00Z", "01-15T10:00 01-15T10:05 01-15T10:10"},
		{"weeks begin on Monday", "1w", utc, "2024-01-17", "2024-01-23", "01-15T00:00 01-22T00:00 01-29T00:00"},
		{"seven days are a week", "7d", utc, "2024-01-17", "2024-01-18", "01-15T00:00 01-22T00:00"},
		{"a width that divides no day", "7h", utc, "1970-01-01", "1970-01-01T20:00:00Z", "01-01T00:00 01-01T07:00 01-01T14:00 01-01T21:00"},
		{"the epoch's week begins before it", "1w", utc, "1970-01-01", "1970-01-02", "12-29T00:00 01-05T00:00"},

		{"local days", "1d", berlin, "2024-01-15T12:00:00Z", "2024-01-16T12:00:00Z", "01-14T23:00 01-15T23:00 01-16T23:00"},
		{"a day of 23 hours", "1d", berlin, "2024-03-30T12:00:00Z", "2024-03-31T23:00:00Z", "03-29T23:00 03-30T23:00 03-31T22:00 04-01T22:00"},
		{"a day of 25 hours", "1d", berlin, "2024-10-27T12:00:00Z", "2024-10-27T13:00:00Z", "10-26T22:00 10-27T23:00"},
		{"local weeks", "1w", newYork, "2024-11-05", "2024-11-06", "11-04T05:00 11-11T05:00"},
		{"the week in which clocks change", "1w", newYork, "2024-10-30", "2024-10-31", "10-28T04:00 11-04T05:00"},
		{"an hour left out", "1h", berlin, "2024-03-31T00:00:00Z", "2024-03-31T02:00:00Z", "03-31T00:00 03-31T01:00 03-31T02:00"},
		{"an hour shown twice", "1h", berlin, "2024-10-27T00:00:00Z", "2024-10-27T02:00:00Z", "10-27T00:00 10-27T01:00 10-27T02:00"},
		{"six hours from midnight, one left out", "6h", berlin, "2024-03-30T23:00:00Z", "2024-03-31T09:00:00Z", "03-30T23:00 03-31T04:00 03-31T10:00"},
		{"six hours from midnight, one shown twice", "6h", berlin, "2024-10-26T22:00:00Z", "2024-10-27T10:00:00Z", "10-26T22:00 10-27T05:00 10-27T11:00"},
		{"the clock jumps into the next bucket", "2h", berlin, "2024-03-30T23:00:00Z", "2024-03-31T02:30:00Z", "03-30T23:00 03-31T01:00 03-31T02:00 03-31T04:00"},
		{"from in the jumped-to bucket", "2h", berlin, "2024-03-31T01:30:00Z", "2024-03-31T02:00:00Z", "03-31T01:00 03-31T02:00"},
		{"a change of half an hour", "1h", lordHowe, "2024-04-06T14:00:00Z", "2024-04-06T16:30:00Z", "04-06T14:00 04-06T15:30 04-06T16:30"},
		{"midnight does not exist", "1d", saoPaulo, "2018-11-03T12:00:00Z", "2018-11-05T12:00:00Z", "11-03T03:00 11-04T03:00 11-05T02:00 11-06T02:00"},
		{"midnight happens twice", "1d", saoPaulo, "2018-02-17T12:00:00Z", "2018-02-18T12:00:00Z", "02-17T02:00 02-18T03:00 02-19T03:00"},
		{"a date that was left out", "1d", apia, "2011-12-29T12:00:00Z", "2011-12-30T12:00:00Z", "12-29T10:00 12-30T10:00 12-31T10:00"},
		{"an offset of 5:45", "1h", "Asia/Kathmandu", "2024-01-15T10:00:00Z", "2024-01-15T10:20:00Z", "01-15T09:15 01-15T10:15 01-15T11:15"},
	} {
		t.Run(test.name, func(t *testing.T) {
			g, err := parseGranularity(test.width)
			if err != nil {
				t.Fatal(err)
			}
			edges, err := g.edges(mustTime(t, test.from), mustTime(t, test.to), mustZone(t, test.zone))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, edge := range edges {
				got = append(got, time.Unix(0, edge).UTC().Format("01-02T15:04"))
			}
			if diff := cmp.Diff(test.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("edges (-want +got):\n%s", diff)
			}
		})
	}
}

// The edges must be those of a calendar that is asked minute by minute: an edge is where the bucket that
// the wall clock shows is another one than a minute before, or begins again.
func TestBucketEdgesAgainstWallClock(t *testing.T) {
	zones := []string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Pacific/Apia", "Asia/Kathmandu", "Africa/Casablanca"}
	widths := []string{"10m", "1h", "2h", "3h", "6h", "7h", "12h", "1d", "3d", "1w"}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	for range 200 {
		zone := mustZone(t, zones[random.IntN(len(zones))])
		text := widths[random.IntN(len(widths))]
		g, err := parseGranularity(text)
		if err != nil {
			t.Fatal(err)
		}
		minute := int64(time.Minute)
		from := (mustTime(t, "2008-01-01") + random.Int64N(10*365*day)) / minute * minute
		to := from + (1+random.Int64N(10*24*60))*minute
		edges := bucketEdges(g.width, from, to, zone)
		if edges[0] > from || edges[1] <= from || edges[len(edges)-1] < to || edges[len(edges)-2] >= to {
			t.Fatalf("%s in %s: edges %v do not fit %d..%d", text, zone, edges, from, to)
		}
		var want []int64
		for at := from + minute; at < to; at += minute {
			now, begins := wallBucket(at, g.width, zone)
			before, _ := wallBucket(at-minute, g.width, zone)
			if begins || now != before {
				want = append(want, at)
			}
		}
		got := edges[1 : len(edges)-1]
		if len(got) == 0 {
			got = nil
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s in %s from %d to %d (-want +got):\n%s", text, zone, from, to, diff)
		}
	}
}

// wallBucket returns the bucket that the zone's clock shows, and whether it shows the bucket's beginning.
func wallBucket(at, width int64, zone *time.Location) (bucket int64, begins bool) {
	local := time.Unix(0, at).In(zone)
	wall := time.Date(local.Year(), local.Month(), local.Day(), local.Hour(), local.Minute(), local.Second(), 0, time.UTC).UnixNano()
	if width%week == 0 {
		wall -= mondayPhase
	}
	return wall / width, wall%width == 0
}

func TestEdgesLimits(t *testing.T) {
	g := granularity{text: "1ms", width: int64(time.Millisecond)}
	_, err := g.edges(0, model.MaxTime, time.UTC)
	if failure, ok := errors.AsType[*apiError](err); !ok || failure.code() != "LIMIT_EXCEEDED" {
		t.Errorf("1ms over all time: %v, want LIMIT_EXCEEDED", err)
	}
	edges, err := g.edges(0, maxBuckets*g.width, time.UTC)
	if err != nil || len(edges) != maxBuckets+1 {
		t.Errorf("%d edges, %v, want %d", len(edges), err, maxBuckets+1)
	}
	if _, err = g.edges(1, maxBuckets*g.width+1, time.UTC); err == nil {
		t.Error("one bucket too many is accepted")
	}
	wide, err := parseGranularity("15000w")
	if err != nil {
		t.Fatal(err)
	}
	for _, zone := range []string{"UTC", "America/New_York"} {
		edges, err = wide.edges(0, model.MaxTime, mustZone(t, zone))
		if err != nil || len(edges) > 4 || edges[len(edges)-1] < model.MaxTime || edges[0] > 0 {
			t.Errorf("%s: edges %v, %v do not cover all time", zone, edges, err)
		}
	}
}

func TestAutoGranularity(t *testing.T) {
	from := mustTime(t, "2024-01-15T10:00:00Z")
	for _, test := range []struct {
		length    string
		maxPoints int
		want      string
	}{
		{"10s", 500, "1s"},
		{"500s", 500, "1s"},
		{"501s", 500, "5s"},
		{"1h", 500, "10s"},
		{"1h", 60, "1m"},
		{"1h", 59, "5m"},
		{"1d", 500, "5m"},
		{"30d", 500, "3h"},
		{"700d", 500, "1w"},
		{"6900d", 500, "2w"},
		{"9000d", 2, "2048w"},
	} {
		g, err := parseGranularity(test.length)
		if err != nil {
			t.Fatal(err)
		}
		got, edges, err := autoGranularity(from, from+g.width, time.UTC, test.maxPoints)
		if err != nil || got.text != test.want || len(edges)-1 > test.maxPoints {
			t.Errorf("%s in %d points: %q with %d buckets, %v, want %q", test.length, test.maxPoints, got.text, len(edges)-1, err, test.want)
		}
	}
	for _, maxPoints := range []int{3, defaultMaxPoints} {
		got, edges, err := autoGranularity(model.MinTime, model.MaxTime, time.UTC, maxPoints)
		if err != nil || len(edges)-1 > maxPoints {
			t.Errorf("all time in %d points: %q with %d buckets, %v", maxPoints, got.text, len(edges)-1, err)
		}
	}
	if _, _, err := autoGranularity(model.MinTime, model.MaxTime, time.UTC, 1); err == nil || !strings.Contains(err.Error(), "max_points") {
		t.Errorf("all time in one point: %v", err)
	}
	// A single bucket is never enough for a range across the beginning of weeks.
	if _, _, err := autoGranularity(mustTime(t, "1970-01-02"), mustTime(t, "1970-01-08"), time.UTC, 1); err == nil {
		t.Error("one point for a range across two weeks is accepted")
	}
}

func TestParseGranularityRefuses(t *testing.T) {
	for _, text := range []string{"", "5", "m", "0m", "-5m", "5x", "5 m", "1.5h", "99999999w", "1h30", "AUTO"} {
		if g, err := parseGranularity(text); err == nil {
			t.Errorf("%q is read as %+v", text, g)
		}
	}
	for text, want := range map[string]string{"99999999999w": "longer than 292 years", "5x": "such as 5m or 1h30m", "0m": "zero"} {
		if _, err := parseGranularity(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	for _, name := range []string{"Local", "Mars/Olympus", "../../etc/passwd", "/etc/localtime"} {
		if zone, err := loadZone(name); err == nil {
			t.Errorf("zone %q is read as %v", name, zone)
		}
	}
}

func FuzzGranularity(f *testing.F) {
	f.Add("5m", int64(1705312800e9), int64(3600e9), "UTC")
	f.Add("1d", int64(1711800000e9), int64(86400e9*3), "Europe/Berlin")
	f.Add("1w", int64(0), int64(1), "America/Sao_Paulo")
	f.Add("1h30m", model.MaxTime-1, int64(1), "Pacific/Apia")
	f.Fuzz(func(t *testing.T, text string, from, length int64, zoneName string) {
		g, err := parseGranularity(text)
		if err != nil {
			return
		}
		zone, err := loadZone(zoneName)
		if err != nil || from < model.MinTime || from >= model.MaxTime || length < 1 || length > model.MaxTime-from {
			return
		}
		edges, err := g.edges(from, from+length, zone)
		if err != nil {
			return
		}
		if edges[0] > from || edges[len(edges)-1] < from+length || len(edges) < 2 || len(edges)-1 > maxBuckets {
			t.Fatalf("%d edges from %d to %d do not cover %d..%d", len(edges), edges[0], edges[len(edges)-1], from, from+length)
		}
		for i := 1; i < len(edges); i++ {
			if edges[i] <= edges[i-1] {
				t.Fatalf("edge %d is %d, after %d", i, edges[i], edges[i-1])
			}
		}
	})
}
