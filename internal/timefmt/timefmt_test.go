package timefmt

import (
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/flopynet/collector/model"
)

const testNow = int64(1_705_314_600_000_000_000) // 2024-01-15T10:30:00Z

func TestParseTime(t *testing.T) {
	tests := []struct {
		text string
		want string // RFC 3339, or "" for a refusal
	}{
		{"2024-01-15T10:30:00Z", "2024-01-15T10:30:00Z"},
		{"2024-01-15t10:30:00z", "2024-01-15T10:30:00Z"},
		{"2024-01-15T10:30:00.5Z", "2024-01-15T10:30:00.5Z"},
		{"2024-01-15T10:30:00.123456789+02:00", "2024-01-15T08:30:00.123456789Z"},
		{"2024-01-15T10:30:00-0130", "2024-01-15T12:00:00Z"},
		{"2024-01-15T10:30:00 02:00", "2024-01-15T08:30:00Z"},
		{"2024-01-15 10:30:00 0200", "2024-01-15T08:30:00Z"},
		{"2024-01-15 10:30:00 +02:00", "2024-01-15T08:30:00Z"},
		{"2024-01-15 10:30:00 -02:00", "2024-01-15T12:30:00Z"},
		{"2024-01-15 10:30:00", "2024-01-15T10:30:00Z"},
		{"2024-01-15T10:30:00.000001", "2024-01-15T10:30:00.000001Z"},
		{"2024-01-15T10:30", "2024-01-15T10:30:00Z"},
		{"2024-01-15T10:30Z", "2024-01-15T10:30:00Z"},
		{"2024-01-15T10:30+01:00", "2024-01-15T09:30:00Z"},
		{"2024-02-29", "2024-02-29T00:00:00Z"},
		{"1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"},
		{"1970-01-01T01:00:00+01:00", "1970-01-01T00:00:00Z"},
		{"1969-12-31T23:30:00-01:00", "1970-01-01T00:30:00Z"},
		{"2262-04-11", "2262-04-11T00:00:00Z"},
		{"now", "2024-01-15T10:30:00Z"},
		{"now-1h", "2024-01-15T09:30:00Z"},
		{"now-1h30m", "2024-01-15T09:00:00Z"},
		{"now+250ms", "2024-01-15T10:30:00.25Z"},
		{"now 1d", "2024-01-16T10:30:00Z"},
		{"0", "1970-01-01T00:00:00Z"},
		{"-0", "1970-01-01T00:00:00Z"},
		{"1705314600", "2024-01-15T10:30:00Z"},
		{"1705314600.123456789", "2024-01-15T10:30:00.123456789Z"},
		{"1705314600.1234567899", "2024-01-15T10:30:00.123456789Z"},
		{"1705314600123", "2024-01-15T10:30:00.123Z"},
		{"1705314600123.456", "2024-01-15T10:30:00.123456Z"},
		{"1705314600123456", "2024-01-15T10:30:00.123456Z"},
		{"1705314600123456789", "2024-01-15T10:30:00.123456789Z"},
		{"1.705314600123456e18", "2024-01-15T10:30:00.123456Z"},
		{"1.7053146e+9", "2024-01-15T10:30:00Z"},
		{"0.25", "1970-01-01T00:00:00.25Z"},
		{"25e-2", "1970-01-01T00:00:00.25Z"},
		{"0.000000001", "1970-01-01T00:00:00.000000001Z"},
		{"0.0000000001", "1970-01-01T00:00:00Z"},
		{"1e-999999999999999999999", "1970-01-01T00:00:00Z"},
		{"0e999999999999999999999", "1970-01-01T00:00:00Z"},
		{"99999999999e-3", "1973-03-03T09:46:39.999Z"},
		{"9223286400000000000", "2262-04-11T00:00:00Z"},

		{"", ""}, {" ", ""}, {"yesterday", ""}, {"nowish", ""}, {"now-", ""}, {"now-1", ""}, {"now-100w1", ""},
		{"now-60d60000w", ""}, {"now+99999999999999999999w", ""}, {"now*1h", ""},
		{"1969-12-31T23:59:59Z", ""}, {"2262-04-11T00:00:00.000000001Z", ""}, {"2300-01-01", ""}, {"9999-12-31T23:59:59Z", ""},
		{"0000-01-01", ""}, {"1970-01-01T00:30:00+01:00", ""},
		{"2023-02-29", ""}, {"2024-13-01", ""}, {"2024-00-01", ""}, {"2024-01-00", ""}, {"2024-1-1", ""}, {"24-01-01", ""},
		{"2024-01-15T", ""}, {"2024-01-15T10", ""}, {"2024-01-15T24:00:00Z", ""}, {"2024-01-15T10:60:00Z", ""},
		{"2016-12-31T23:59:60Z", ""}, {"2024-01-15T10:30:00.Z", ""}, {"2024-01-15T10:30:00.1234567890Z", ""},
		{"2024-01-15T10:30:00+2:00", ""}, {"2024-01-15T10:30:00+24:00", ""}, {"2024-01-15T10:30:00+02:60", ""},
		{"2024-01-15T10:30:00ZZ", ""}, {"2024-01-15T10:30:00 ", ""}, {"2024-01-15T10:30:00 Z", ""}, {"2024-01-15T10:30:00+", ""},
		{"2024-01-15X10:30:00Z", ""}, {"2024-01-15Z", ""}, {"2024-01/15", ""},
		{"-1", ""}, {"01", ""}, {"+1", ""}, {"1.", ""}, {".5", ""}, {"1e", ""}, {"1e+", ""}, {"1x", ""}, {"0x10", ""}, {"NaN", ""},
		{"9223286400000000001", ""}, {"9300000000", ""}, {"99999999999", ""}, {"1e19", ""}, {"1e999999999999", ""},
	}
	for _, test := range tests {
		got, err := ParseTime(test.text, testNow)
		if test.want == "" {
			var parseError *ParseError
			if !errors.As(err, &parseError) || parseError.Text != test.text || got != 0 {
				t.Errorf("ParseTime(%q) = %d, %v, want a *ParseError naming it", test.text, got, err)
			}
			continue
		}
		want, parseErr := time.Parse(time.RFC3339Nano, test.want)
		if parseErr != nil {
			t.Fatal(parseErr)
		}
		if err != nil || got != want.UnixNano() {
			t.Errorf("ParseTime(%q) = %d, %v, want %d (%s)", test.text, got, err, want.UnixNano(), test.want)
		}
	}
}

func TestParseErrorIsBounded(t *testing.T) {
	_, err := ParseTime(strings.Repeat("9", 1<<20), testNow)
	if err == nil || len(err.Error()) > 300 {
		t.Errorf("error of %d bytes, want a short one", len(err.Error()))
	}
}

func TestParseDuration(t *testing.T) {
	tests := []struct {
		text string
		want time.Duration // -1: refused
	}{
		{"5m", 5 * time.Minute}, {"250ms", 250 * time.Millisecond}, {"1s", time.Second}, {"1h30m", 90 * time.Minute},
		{"1d", 24 * time.Hour}, {"2w", 14 * 24 * time.Hour}, {"1m1ms", time.Minute + time.Millisecond}, {"0s", 0},
		{"15250w", 15250 * 7 * 24 * time.Hour}, {"007s", 7 * time.Second},
		{"", -1}, {"5", -1}, {"m", -1}, {"5 m", -1}, {"-5m", -1}, {"1.5h", -1}, {"5M", -1}, {"5mo", -1}, {"1y", -1}, {"1h30", -1},
		{"15251w", -1}, {"99999999999999999999s", -1}, {"9223372036854775807ms", -1}, {"15250w1d15250w", -1},
	}
	for _, test := range tests {
		got, err := ParseDuration(test.text)
		if refused := test.want < 0; refused != (err != nil) || !refused && got != test.want {
			t.Errorf("ParseDuration(%q) = %v, %v, want %v", test.text, got, err, test.want)
		}
	}
}

func TestAppendTime(t *testing.T) {
	tests := []struct {
		ns   int64
		want string
	}{
		{0, "1970-01-01T00:00:00Z"},
		{testNow, "2024-01-15T10:30:00Z"},
		{testNow + 120e6, "2024-01-15T10:30:00.120Z"},
		{testNow + 1e3, "2024-01-15T10:30:00.000001Z"},
		{testNow + 1, "2024-01-15T10:30:00.000000001Z"},
		{model.MaxTime, "2262-04-11T00:00:00Z"},
		{-1, "1969-12-31T23:59:59.999999999Z"},
		{math.MaxInt64, "2262-04-11T23:47:16.854775807Z"},
	}
	for _, test := range tests {
		if got := string(AppendTime([]byte("x"), test.ns)); got != "x"+test.want {
			t.Errorf("AppendTime(%d) = %q, want %q", test.ns, got, "x"+test.want)
		}
	}
}

func TestAppendTimeParsesBack(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	for range 20_000 {
		ns := random.Int64N(model.MaxTime + 1)
		ns -= ns % pow10[random.IntN(10)]
		text := string(AppendTime(nil, ns))
		if got, err := ParseTime(text, 0); err != nil || got != ns {
			t.Fatalf("seed %d: %d is written %q and read back %d, %v", seed, ns, text, got, err)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	buffer := make([]byte, 0, 64)
	allocations := testing.AllocsPerRun(100, func() {
		for _, text := range [...]string{"2024-01-15T10:30:00.123456789+02:00", "now-1h30m", "1705314600.123456789", "2024-01-15"} {
			ns, err := ParseTime(text, testNow)
			if err != nil {
				t.Fatal(err)
			}
			buffer = AppendTime(buffer[:0], ns)
		}
		if _, err := ParseDuration("1h30m"); err != nil {
			t.Fatal(err)
		}
	})
	if allocations != 0 {
		t.Errorf("%v allocations, want none", allocations)
	}
}

// FuzzParse compares with time.Parse where it knows the form, and numbers with exact arithmetic.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"2024-01-15T10:30:00Z", "2024-01-15T10:30:00.123456789+02:00", "2024-02-30", "1969-12-31T23:59:59Z", "2262-04-11",
		"1705314600", "1705314600.123456789", "1.7e18", "-0.0e-5", "1e99999", "now-1h30m", "now+99999999w", "1h30m", "0.00000000019",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ns, err := ParseTime(text, testNow)
		if err == nil {
			if ns < model.MinTime || ns > model.MaxTime {
				t.Fatalf("%q gives %d, out of range", text, ns)
			}
			if again, err := ParseTime(string(AppendTime(nil, ns)), 0); err != nil || again != ns {
				t.Fatalf("%q gives %d, which reads back as %d, %v", text, ns, again, err)
			}
		}
		compareWithStandard(t, text, ns, err)
		compareNumber(t, text)
		compareDuration(t, text)
	})
}

func compareWithStandard(t *testing.T, text string, ns int64, err error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05Z0700", "2006-01-02 15:04:05", "2006-01-02T15:04Z07:00", time.DateOnly} {
		want, wantErr := time.Parse(layout, text)
		if wantErr != nil || strings.Contains(text, ",") || strings.Contains(text, "+24:") || strings.Contains(text, "-24:") || strings.Contains(text, ":60") {
			continue // a comma for the point, and offsets of a day or with 60 minutes, are the standard library's own
		}
		if strings.HasSuffix(layout, "Z0700") && len(text) > 5 && (strings.Contains(text[len(text)-5:], "24") || strings.HasSuffix(text, "60")) {
			continue
		}
		if len(text) > 12 && text[12] == ':' {
			continue // an hour of one digit
		}
		if _, fraction, _ := strings.Cut(text, "."); skipDigits(fraction, 0) > 9 {
			continue
		}
		inRange := !want.Before(time.Unix(0, model.MinTime)) && !want.After(time.Unix(0, model.MaxTime))
		if inRange != (err == nil) || inRange && want.UnixNano() != ns {
			t.Fatalf("%q gives %d, %v; time.Parse %v", text, ns, err, want)
		}
	}
}

func compareNumber(t *testing.T, text string) {
	number, ok := splitNumber(text)
	ns, err := ParseNumber(text)
	if !ok {
		if err == nil {
			t.Fatalf("%q gives %d though it is not a number", text, ns)
		}
		return
	}
	if _, exponent, found := strings.Cut(strings.ToLower(text), "e"); len(text) > 40 || found && len(strings.TrimLeft(exponent, "+-0")) > 3 {
		return // too large for the exact arithmetic below
	}
	exact, ok := new(big.Rat).SetString(text)
	if !ok {
		t.Fatalf("%q is taken for a number", text)
	}
	scale := int64(1)
	for _, limit := range []int64{1e17, 1e14, 1e11} {
		if exact.Cmp(new(big.Rat).SetInt64(limit)) < 0 {
			scale *= 1000
		}
	}
	exact.Mul(exact, new(big.Rat).SetInt64(scale))
	floor := new(big.Int).Quo(exact.Num(), exact.Denom())
	inRange := exact.Sign() >= 0 && floor.Cmp(big.NewInt(model.MaxTime)) <= 0
	if inRange != (err == nil) || inRange && floor.Int64() != ns {
		t.Fatalf("%q gives %d, %v; exactly it is %v (%+v)", text, ns, err, floor, number)
	}
}

func compareDuration(t *testing.T, text string) {
	d, err := ParseDuration(text)
	if strings.ContainsAny(text, "dwunµμ+-.") {
		return // units and forms of one of the two only
	}
	want, wantErr := time.ParseDuration(text)
	if err == nil && (wantErr != nil || d != want) {
		t.Fatalf("duration %q gives %v; time.ParseDuration %v, %v", text, d, want, wantErr)
	}
	if wantErr == nil && err != nil && text != "0" {
		t.Fatalf("duration %q is refused: %v", text, err)
	}
}

func BenchmarkParseTime(b *testing.B) {
	for _, text := range []string{"2024-01-15T10:30:00Z", "2024-01-15T10:30:00.123456789+02:00", "1705314600", "1705314600.123456789"} {
		b.Run(text, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if ns, err := ParseTime(text, testNow); err != nil || ns == 0 {
					b.Fatal(ns, err)
				}
			}
		})
	}
}

func BenchmarkAppendTime(b *testing.B) {
	buffer := make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		buffer = AppendTime(buffer[:0], testNow+123456789)
	}
	if string(buffer) != "2024-01-15T10:30:00.123456789Z" {
		b.Fatal(string(buffer))
	}
}

// TestAppender compares Appenders with AppendTime and AppendEpoch, for times that wander and times that jump.
func TestAppender(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	appenders := []*Appender{{}, {Unit: 1}, {Unit: 1e3}, {Unit: 1e6}, {Unit: 1e9}}
	at := int64(0)
	for i := range 200_000 {
		for _, a := range appenders {
			want := string(AppendTime(nil, at))
			if a.Unit != 0 {
				want = string(AppendEpoch(nil, at, a.Unit))
			}
			if got := string(a.Append(nil, at)); got != want {
				t.Fatalf("in units of %d, %d is %s, want %s", a.Unit, at, got, want)
			}
		}
		switch unit := []int64{1, 1e3, 1e6, 1e9, 60e9}[random.IntN(5)]; {
		case i%1000 == 0:
			at = random.Int64N(9_223_286_400e9) / unit * unit
		case i%1001 == 0:
			at = -random.Int64N(1e18)
		case i%1002 == 0:
			at = random.Int64N(4e17)
		case i%1003 == 0:
			at = math.MaxInt64 - random.Int64N(4e17)
		default:
			at = min(at/unit*unit+random.Int64N(100)*unit, 9_223_286_400e9)
		}
	}
}
