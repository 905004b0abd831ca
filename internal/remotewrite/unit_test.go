package remotewrite

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// unitsOf decodes a body, commits it if told to, and lists the units in its batch.
func unitsOf(t *testing.T, d *Decoder, body []byte, version Version, commit bool) []string {
	t.Helper()
	out, err := decodeBody(t, d, body, version)
	if err != nil {
		t.Fatal(err)
	}
	if commit {
		d.Commit()
	}
	return out.Units
}

// TestUnitsOfFamilies gives units to metric families, before and after their series are there.
func TestUnitsOfFamilies(t *testing.T) {
	d := newTestDecoder()
	series := message(1, seriesV1("__name__=a_total", 2, point(testMS, 1)), 1, seriesV1("__name__=b", 2, point(testMS, 1)),
		1, seriesV1("__name__=b_bucket", 2, point(testMS, 1)), 1, seriesV1("__name__=b_sum", 2, point(testMS, 1)))
	metadata := func(pairs ...string) []byte {
		var out []byte
		for i := 0; i < len(pairs); i += 2 {
			out = append(out, message(3, message(2, pairs[i], 4, "help", 5, pairs[i+1]))...)
		}
		return out
	}
	const a, b, sum = `"a_total"[{"source" "default"}] `, `"b"[{"source" "default"}] `, `"b_sum"[{"source" "default"}] `
	for i, step := range []struct {
		body   []byte
		commit bool
		want   []string
	}{
		{series, true, nil},
		{metadata("a", "bytes", "c", ""), true, nil},
		{series, false, []string{a + "bytes"}}, // the batch is lost
		{series, true, []string{a + "bytes"}},
		{series, true, nil},
		{metadata("b", "seconds", "a", "bytes"), true, nil},
		{series, true, []string{b + "seconds", sum + "seconds"}},
		{series, true, nil},
		{metadata("a", "bits"), true, nil},
		{series, true, []string{a + "bits"}},
		{series, true, nil},
		{message(1, seriesV1("__name__=a_total,x=new", 2, point(testMS, 1))), false, []string{`"a_total"[{"source" "default"} {"x" "new"}] bits`}},
		{message(1, seriesV1("__name__=a_total,x=new", 2, point(testMS, 1))), true, []string{`"a_total"[{"source" "default"} {"x" "new"}] bits`}},
		{message(1, seriesV1("__name__=a_total,x=new", 2, point(testMS, 1))), true, nil},
	} {
		if diff := cmp.Diff(step.want, unitsOf(t, d, step.body, V1, step.commit)); diff != "" {
			t.Errorf("step %d (-want +got):\n%s", i, diff)
		}
	}
}

// TestUnitsOfBoundKeys: who may write as some sources changes no unit of others' series.
func TestUnitsOfBoundKeys(t *testing.T) {
	d := newTestDecoder()
	d.Restrict(func(source string) bool { return source == "edge" })
	unitsOf(t, d, message(3, message(2, "a", 5, "bytes")), V1, true)
	if got := unitsOf(t, d, message(1, seriesV1("__name__=a", 2, point(testMS, 1))), V1, true); got != nil {
		t.Errorf("a series of another source got %s", got)
	}
}

// TestUnitsOfSeries gives units with the series.
func TestUnitsOfSeries(t *testing.T) {
	d := newTestDecoder()
	body := func(unit string) []byte { return requestV2(unit, []string{"__name__=a"}, 2, point(testMS, 1)) }
	const a = `"a"[{"source" "default"}] `
	for i, step := range []struct {
		unit   string
		commit bool
		want   []string
	}{
		{"", true, nil},
		{"s", false, []string{a + "s"}},
		{"s", true, []string{a + "s"}},
		{"s", true, nil},
		{"", true, nil}, // is no reason to forget it
		{"ms", true, []string{a + "ms"}},
		{"s", true, []string{a + "s"}},
	} {
		if diff := cmp.Diff(step.want, unitsOf(t, d, body(step.unit), V2, step.commit)); diff != "" {
			t.Errorf("step %d (-want +got):\n%s", i, diff)
		}
	}
}

// TestUnitsAtOnce has two requests write different units of a series, so that nobody knows which the engine has.
func TestUnitsAtOnce(t *testing.T) {
	one := newTestDecoder()
	other := NewDecoder(one.cache, one.resolver)
	body := func(unit string) []byte { return requestV2(unit, []string{"__name__=a"}, 2, point(testMS, 1)) }
	unitsOf(t, one, body(""), V2, true)
	unitsOf(t, one, body("s"), V2, false)
	unitsOf(t, other, body("ms"), V2, false)
	one.Commit()
	other.Commit()
	for _, unit := range []string{"s", "ms"} {
		if got := unitsOf(t, one, body(unit), V2, false); len(got) != 1 {
			t.Errorf("%s is taken to be known", unit)
		}
	}
}

// TestFamiliesStayBounded gives units to more families than are kept.
func TestFamiliesStayBounded(t *testing.T) {
	f := families{units: make(map[string]string)}
	name := make([]byte, 200)
	for i := range 2 * maxFamilies {
		name[0], name[1], name[2] = byte(i), byte(i>>8), byte(i>>16)
		f.set(string(name), "seconds")
	}
	if len(f.units) > maxFamilies || f.bytes > maxFamilyBytes || f.bytes < maxFamilyBytes*9/10 {
		t.Errorf("%d families of %d bytes", len(f.units), f.bytes)
	}
	generation := f.generation.Load()
	f.set(string(name), "seconds") // there is no room for it
	clear(name[:3])
	f.set(string(name), "seconds") // the same as before
	if f.generation.Load() != generation {
		t.Error("what wasn't kept counts as a change")
	}
}
