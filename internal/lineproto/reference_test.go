package lineproto

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/influxdata/line-protocol/v2/lineprotocol"

	"github.com/flopynet/collector/internal/rawcache"
	"github.com/flopynet/collector/model"
)

// reference reads a body by InfluxDB's decoder. It stops at the first line that this can't read, and then says why:
// how decoding goes on behind it is ours to decide.
func reference(body string) (samples []string, refused int, fault error) {
	decoder := lineprotocol.NewDecoderWithBytes([]byte(body))
	for decoder.Next() {
		line, bad, err := referenceLine(decoder)
		if err != nil {
			return samples, refused, err
		}
		samples, refused = append(samples, line...), refused+bad
	}
	return samples, refused, nil
}

func referenceLine(decoder *lineprotocol.Decoder) (samples []string, refused int, fault error) {
	raw, err := decoder.Measurement()
	if err != nil {
		return nil, 0, err
	}
	measurement := string(raw)
	tags, twice, hasSource := model.Tags{}, false, false
	for {
		key, value, err := decoder.NextTag()
		if err != nil {
			return nil, 0, err
		}
		if key == nil {
			break
		}
		for _, tag := range tags {
			twice = twice || tag.Key == string(key)
		}
		hasSource = hasSource || string(key) == "source"
		tags = append(tags, model.Tag{Key: string(key), Value: string(value)})
	}
	if !hasSource {
		tags = append(tags, model.Tag{Key: "source", Value: "default"})
	}
	tags = model.Normalize(tags)
	type point struct {
		name  string
		value float64
	}
	var points []point
	for fields := 0; ; fields++ {
		key, kind, raw, err := decoder.NextFieldBytes()
		if err != nil {
			return nil, 0, err
		}
		if key == nil {
			if fields == 0 {
				return nil, 0, fmt.Errorf("no fields")
			}
			break
		}
		name := measurement + "_" + string(key)
		if string(key) == "value" {
			name = measurement
		}
		value, err := lineprotocol.NewValueFromBytes(kind, raw)
		if kind == lineprotocol.Float && bytes.ContainsAny(raw, "xX_pPnN") {
			err = fmt.Errorf("not a decimal number")
		}
		switch {
		case err != nil && strings.Contains(err.Error(), lineprotocol.ErrValueOutOfRange.Error()), kind == lineprotocol.String:
			refused++
			continue
		case err != nil:
			return nil, 0, err
		case model.CheckSeries(name, nil) != nil:
			refused++
			continue
		}
		points = append(points, point{name, numberOf(value)})
	}
	stamp, err := decoder.TimeBytes()
	if err != nil {
		return nil, 0, err
	}
	ns := testNow
	if stamp != nil {
		if ns, err = strconv.ParseInt(string(stamp), 10, 64); err != nil {
			return nil, 0, err
		}
	}
	if twice || model.CheckSeries(measurement, tags) != nil || len(points) > 0 && (ns < model.MinTime || ns >= model.MaxTime) {
		return nil, 1, nil //nolint:nilerr // whatever the error was, it was of a field that is counted
	}
	for _, p := range points {
		samples = append(samples, sampleText(p.name, tags, ns, p.value))
	}
	return samples, refused, nil
}

func numberOf(value lineprotocol.Value) float64 {
	switch value.Kind() {
	case lineprotocol.Int:
		return float64(value.IntV())
	case lineprotocol.Uint:
		return float64(value.UintV())
	case lineprotocol.Bool:
		if value.BoolV() {
			return 1
		}
		return 0
	}
	return value.FloatV()
}

// compare decodes a body some times and compares each outcome with the reference.
func compare(t *testing.T, d *Decoder, body string) {
	t.Helper()
	samples, refused, fault := reference(body)
	for pass := range 3 {
		got := decodeText(t, d, body, time.Nanosecond)
		if fault != nil {
			isComment := strings.Contains(body, "#") // maybe one with control characters, of which there may be any here
			if len(got.Refused) <= refused && !isComment && refused < maxErrors {
				t.Fatalf("pass %d: InfluxDB says %v; here %d are refused, besides %d\n%q", pass, fault, len(got.Refused), refused, body)
			}
			got.Samples = got.Samples[:min(len(samples), len(got.Samples))]
		} else if len(got.Refused) != min(refused, maxErrors) {
			t.Fatalf("pass %d: refused %q, want %d\n%q", pass, got.Refused, refused, body)
		}
		if diff := cmp.Diff(samples, got.Samples, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("pass %d: %q (-want +got):\n%s", pass, body, diff)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		"cpu,host=a usage_user=1 5", "m a=1i,b=2u,c=t,d=\"x\\\"y\n\",e=1e5 1\r\n# c\nm b=1", `a\ b\,c,d\==e\\ f\ g=1`, "m f=1,g=2 \nm g=2,f=1", "m,t=u f=9223372036854775808i",
		"m f=1 -1", "m f=179769313486231570814527423731704356798070e270", "\r", "m f=0.1 1\nm f=0.2 1\nm,x=y f=-0 1", "m f=\"\n\nm f=1", "m f=t", "m f=1 1\rx",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) { compare(t, newTestDecoder(), body) })
}

// TestEncoded writes lines with InfluxDB's encoder and reads them, through caches of several sizes which learn
// on the way.
func TestEncoded(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	for _, options := range []rawcache.Options{{}, {MaxEntries: 16}, {MaxBytes: 2000}} {
		d := NewDecoder(NewCache(options), newMemoryResolver())
		for range 40 {
			compare(t, d, encoded(t, random))
		}
	}
}

// encoded returns some lines of a few measurements, with fields that come and go, and escapes.
func encoded(t *testing.T, random *rand.Rand) string {
	t.Helper()
	names := []string{"cpu", "disk io", "a,b", "eq=al", `back\slash`, "value", "ünï", `\\x`, "t\\,x"}
	pick := func() string { return names[random.IntN(len(names))] }
	var encoder lineprotocol.Encoder
	encoder.SetLax(false)
	for range random.IntN(30) {
		encoder.StartLine(pick())
		last := ""
		for _, key := range []string{"=k", "host", "r,k", "s p", "source"} {
			if random.IntN(3) == 0 && key > last {
				encoder.AddTag(key, pick())
				last = key
			}
		}
		for i := range 1 + random.IntN(4) {
			var value any
			switch random.IntN(6) {
			case 0:
				value = random.Int64() - 1<<62
			case 1:
				value = random.Uint64()
			case 2:
				value = random.IntN(2) == 0
			case 3:
				value = pick() + "\n\"" + pick()
			case 4:
				value = float64(random.IntN(10_000)) / 100
			default:
				value = (random.Float64() - 0.5) * 1e300 * random.Float64()
			}
			encoder.AddField(pick()+fmt.Sprint(i*random.IntN(2)), lineprotocol.MustNewValue(value))
		}
		when := time.Time{}
		if random.IntN(3) > 0 {
			when = time.Unix(0, testNow+int64(random.IntN(3)))
		}
		encoder.EndLine(when)
	}
	if err := encoder.Err(); err != nil {
		t.Fatal(err)
	}
	return string(encoder.Bytes())
}
