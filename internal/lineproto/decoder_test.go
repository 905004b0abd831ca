package lineproto

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/internal/rawcache"
	"github.com/flopynet/collector/model"
)

func TestDecode(t *testing.T) {
	at := fmt.Sprintf("@%d", testNow)
	for _, test := range []struct {
		name, body       string
		samples, refused []string
	}{
		{"nothing", "", nil, nil},
		{"blank lines and comments", "\n \n# a=b\n  #\tx\n\r\n", nil, nil},
		{"the example", "cpu,host=a usage_user=1 5", []string{`"cpu_usage_user" "host"="a" @5 1`}, nil},
		{"the field value", "cpu,host=a value=1,values=2 5\n", []string{`"cpu" "host"="a" @5 1`, `"cpu_values" "host"="a" @5 2`}, nil},
		{"no tags, no time", "m a=1,b=2\n", []string{`"m_a" ` + at + ` 1`, `"m_b" ` + at + ` 2`}, nil},
		{"the source", "m,source=edge,a=b f=1 1", []string{`"m_f" "a"="b" "source"="edge" @1 1`}, nil},
		{"tags in any order", "m,z=1,a=2 f=1 1\nm,a=2,z=1 f=2 2", []string{`"m_f" "a"="2" "z"="1" @1 1`, `"m_f" "a"="2" "z"="1" @2 2`}, nil},
		{"types", "m a=1i,b=-2i,c=3u,d=t,e=T,f=true,g=True,h=TRUE,i=f,j=F,k=false,l=False,m=FALSE,n=-0i,o=00012,p=1e2,q=1.5E+1,r=.5e1,s=5.,t=-0 1", []string{
			`"m_a" @1 1`, `"m_b" @1 -2`, `"m_c" @1 3`, `"m_d" @1 1`, `"m_e" @1 1`, `"m_f" @1 1`, `"m_g" @1 1`, `"m_h" @1 1`,
			`"m_i" @1 0`, `"m_j" @1 0`, `"m_k" @1 0`, `"m_l" @1 0`, `"m_m" @1 0`, `"m_n" @1 0`, `"m_o" @1 12`, `"m_p" @1 100`,
			`"m_q" @1 15`, `"m_r" @1 5`, `"m_s" @1 5`, `"m_t" @1 -0`}, nil},
		{"large numbers", "m a=9223372036854775807i,b=-9223372036854775808i,c=18446744073709551615u,d=1e308,e=0.1,f=179.99,g=3.141592653589793238462643383279 1", []string{
			`"m_a" @1 43e0000000000000`, `"m_b" @1 c3e0000000000000`, `"m_c" @1 43f0000000000000`, `"m_d" @1 7fe1ccf385ebc8a0`,
			`"m_e" @1 3fb999999999999a`, `"m_f" @1 40667fae147ae148`, `"m_g" @1 400921fb54442d18`}, nil},
		{"escapes", `my\ m\,e=a\=s,a\ k\,e\=y=v\ a\,l\=u,back\slash=a\b\\ c f\ i\,e\=l\d=1 1` + "\n" + `m\ ,a=b\  c\==1 2`, []string{
			`"my m,e=a\\=s_f i,e=l\\d" "a k,e=y"="v a,l=u" "back\\slash"="a\\b\\ c" @1 1`, `"m _c=" "a"="b " @2 1`}, nil},
		{"spaces between", "  m,a=b   f=1   7  \nm,a=b f=2 7 \n", []string{`"m_f" "a"="b" @7 1`, `"m_f" "a"="b" @7 2`}, nil},
		{"newlines of Windows", "m f=1 1\r\nm f=2 2\r\nm f=3\r\n\r\nm f=4 4\r", []string{`"m_f" @1 1`, `"m_f" @2 2`, `"m_f" ` + at + ` 3`, `"m_f" @4 4`}, nil},
		{"strings", "m s=\"a, b=1 \\\" \n\\\\\",f=1 5\nm f=2 5\nm x=\"\"", []string{`"m_f" @5 1`, `"m_f" @5 2`}, []string{
			"1 s: the value is a string, want a number or a boolean", "4 x: the value is a string, want a number or a boolean"}},
		{"a missing quotation mark", "m f=\"x\nm f=1 1\nm f=\"y\" 1\nm f=2 2", []string{`"m_f" @1 1`, `"m_f" @2 2`}, []string{
			`1 : the value "\"x" of the field "f" is neither a number, a boolean nor a string in quotation marks`,
			"3 f: the value is a string, want a number or a boolean"}},
		{"newlines in strings of lines with faults", "m,a s=\"\nm no=1 1\n\" 1\nm f=1 1\nm,a=\t s=\"\nm no=1 1\n\",f=1 1\nm f=2 1", []string{`"m_f" @1 1`, `"m_f" @1 2`}, []string{
			`1 : the tag "a" is not of the form key=value`, `5 : value of tag "a" "\t" has a control character`}},
		{"too big", "m a=1e309,b=9223372036854775808i,c=18446744073709551616u,d=1 1", []string{`"m_d" @1 1`}, []string{
			"1 a: the value is out of range of its type", "1 b: the value is out of range of its type", "1 c: the value is out of range of its type"}},
		{"a field twice", "m a=1,a=2 1\nm a=3,b=1,a=4 1", []string{`"m_a" @1 1`, `"m_a" @1 2`, `"m_a" @1 3`, `"m_b" @1 1`, `"m_a" @1 4`}, nil},
		{"other fields", "m a=1,b=2 1\nm b=3 1\nm c=4,a=5 1\nm a=6,c=7,b=8 1", []string{`"m_a" @1 1`, `"m_b" @1 2`, `"m_b" @1 3`,
			`"m_c" @1 4`, `"m_a" @1 5`, `"m_a" @1 6`, `"m_c" @1 7`, `"m_b" @1 8`}, nil},
		{"faults", strings.Join([]string{
			"m", "m,a=b", ",a=b f=1", "m, f=1", "m,a f=1", "m,a= f=1", "m,=b f=1", "m,a=b=c f=1", "m,a=b,a=c f=1", "m f", "m f=", "m =1", "m f=1,",
			"m f=1,,g=2", "m f=1 x", "m f=1 1 2", "m f=1x", "m f=abc", "m f=0x10", "m f=NaN", "m f=-inf", "m f=1_0", "m f=+1", "m f=1.5i", "m f=-1u",
			"m f=1 +5", "m f=1 99999999999999999999", "m\tx f=1", "m,a=\tb f=1", "m f\t=1", `m f="x"y`, "m f=tru", "m f=1 -1", "good f=1 1", `m f="x`, "good f=2 1", "m f=1,g 1",
		}, "\n"), []string{`"good_f" @1 1`, `"good_f" @1 2`}, []string{
			"1 : there are no fields, want measurement,tag=value field=value",
			"2 : there are no fields, want measurement,tag=value field=value",
			"3 : there is no measurement before the tags",
			"4 : a tag is missing behind a comma, want key=value",
			`5 : the tag "a" is not of the form key=value`,
			`6 : the tag "a=" is not of the form key=value`,
			`7 : the tag "=b" is not of the form key=value`,
			`8 : the value of the tag "a" has a = without a \ before it`,
			"9 : a tag is there twice",
			`10 : the field "f" has no value, want key=value`,
			`11 : the field "f" has no value`,
			"12 : a field has no key before its =",
			"13 : a field is missing, want key=value",
			"14 : a field is missing, want key=value",
			`15 : the timestamp "x" is not a whole number`,
			`16 : there is more than a timestamp behind the fields: "1 2"`,
			`17 : the value "1x" of the field "f" is neither a number, a boolean nor a string in quotation marks`,
			`18 : the value "abc" of the field "f" is neither a number, a boolean nor a string in quotation marks`,
			`19 : the value "0x10" of the field "f" is neither a number, a boolean nor a string in quotation marks`,
			`20 : the value "NaN" of the field "f" is neither a number, a boolean nor a string in quotation marks`,
			`21 : the value "-inf" of the field "f" is neither a number, a boolean nor a string in quotation marks`,
			`22 : the value "1_0" of the field "f" is neither a number, a boolean nor a string in quotation marks`,
			`23 : the value "+1" of the field "f" is neither a number, a boolean nor a string in quotation marks`,
			`24 : the value "1.5i" of the field "f" is neither a number, a boolean nor a string in quotation marks`,
			`25 : the value "-1u" of the field "f" is neither a number, a boolean nor a string in quotation marks`,
			`26 : the timestamp "+5" is not a whole number`,
			`27 : the timestamp "99999999999999999999" is out of range; is the precision right?`,
			`28 : name "m\tx" has a control character`,
			`29 : value of tag "a" "\tb" has a control character`,
			`30 : the key of the field that begins "f" has a control character`,
			`31 : the value "\"x\"" of the field "f" is neither a number, a boolean nor a string in quotation marks`,
			`32 : the value "tru" of the field "f" is neither a number, a boolean nor a string in quotation marks`,
			"33 : timestamp 1969-12-31T23:59:59.999999999Z can't be stored",
			`35 : the string of the field "f" is not closed`,
			`37 : the field "g" has no value, want key=value`,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			want := outcome{test.samples, test.refused}
			d := newTestDecoder()
			for pass := range 4 { // the cache learns, guesses, and guesses the first line too
				if diff := cmp.Diff(want, decodeText(t, d, test.body, time.Nanosecond), cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("pass %d (-want +got):\n%s", pass, diff)
				}
			}
		})
	}
}

func TestPrecisions(t *testing.T) {
	for precision, want := range map[time.Duration][]string{
		time.Nanosecond:  {`"m_f" @1705314600 1`, `"m_f" @1705314600000000000 2`},
		time.Microsecond: {`"m_f" @1705314600000 1`},
		time.Millisecond: {`"m_f" @1705314600000000 1`},
		time.Second:      {`"m_f" @1705314600000000000 1`},
	} {
		d := newTestDecoder()
		for range 3 {
			got := decodeText(t, d, "m f=1 1705314600\nm f=2 1705314600000000000\n", precision)
			if diff := cmp.Diff(want, got.Samples); diff != "" || len(got.Refused) != 2-len(want) {
				t.Errorf("%v: refused %v, (-want +got):\n%s", precision, got.Refused, diff)
			}
		}
	}
}

func TestSourcesOfKeys(t *testing.T) {
	d := newTestDecoder()
	const body = "m,source=edge f=1 1\nm,source=other f=1 1\nm f=1 1\n"
	refused := []string{`2 : the source is "other", which the key may not write as`, `3 : the source is "default", which the key may not write as`}
	for range 3 {
		d.Restrict(func(source string) bool { return source == "edge" })
		got := decodeText(t, d, body, time.Nanosecond)
		if diff := cmp.Diff(outcome{[]string{`"m_f" "source"="edge" @1 1`}, refused}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if got := decodeText(t, d, body, time.Nanosecond); len(got.Samples) != 3 {
			t.Errorf("the restriction outlives its body: %v", got)
		}
	}
}

func TestLimits(t *testing.T) {
	long := strings.Repeat("x", model.MaxNameBytes)
	d := newTestDecoder()
	d.resolver.(*memoryResolver).refuse = func(name string) error {
		if name == "m_full" {
			return &engine.LimitError{Limit: "max_series", Max: 1}
		}
		return nil
	}
	for _, test := range []struct {
		body    string
		refused []string
		only    bool
	}{
		{"m full=1", []string{"1 full: the limit max_series = 1 is exceeded"}, true},
		{"m full=1\n,", []string{"1 full: the limit max_series = 1 is exceeded", "2 : there are no fields, want measurement,tag=value field=value"}, false},
		{"m " + long + "=1", []string{"1 " + long[:2*maxShownBytes] + "...: name has 258 bytes, at most 256 are allowed"}, true},
		{long + "x f=1", []string{"1 : name has 257 bytes, at most 256 are allowed"}, true},
		{"m,t=" + strings.Repeat("x", model.MaxTagValueBytes+1) + " f=1", []string{`1 : value of tag "t" has 1025 bytes, at most 1024 are allowed`}, true},
	} {
		got := decodeText(t, d, test.body, time.Nanosecond)
		got.Refused[0] = strings.ReplaceAll(got.Refused[0], "; ", "")
		if diff := cmp.Diff(test.refused, got.Refused); diff != "" || d.report.OnlyLimits() != test.only {
			t.Errorf("%.40s: only limits %v, (-want +got):\n%s", test.body, d.report.OnlyLimits(), diff)
		}
	}
	var batch engine.Batch
	_, err := d.Decode([]byte(strings.Repeat("m a=1,b=2 1\n", maxSamples/2+1)), 1, testNow, &batch)
	if limit, ok := errors.AsType[*engine.LimitError](err); !ok || limit.Max != maxSamples || batch.Len() != 0 {
		t.Errorf("%v, and %d samples", err, batch.Len())
	}
	boom := errors.New("boom")
	d.resolver.(*memoryResolver).fail = boom
	if _, err := d.Decode([]byte("m a=1\nm new=1,other=2\nn x=1"), 1, testNow, &batch); !errors.Is(err, boom) || batch.Len() != 0 {
		t.Errorf("%v, and %d samples", err, batch.Len())
	}
}

// TestLongLines: what a line takes while it is read doesn't grow with the body, and the lines behind it are read.
func TestLongLines(t *testing.T) {
	const many = 1 << 20
	for _, test := range []struct{ name, body, refused string }{
		{"fields", "m " + strings.Repeat("a=1,", many) + "a=1 1", "1 : the limit fields of a line = 16384 is exceeded; write them in several lines"},
		{"a string behind them", "m " + strings.Repeat("a=1,", maxLineFields) + "s=\"\nm no=1 1\" 1", "1 : the limit fields of a line = 16384 is exceeded; write them in several lines"},
		{"tags", "m" + strings.Repeat(",a=b", many) + " f=1 1", "1 : measurement with its tags has 4194305 bytes, at most 167172 are allowed"},
		{"a field's key", "m " + strings.Repeat("k", many) + "=1 1", "1 " + strings.Repeat("k", 2*maxShownBytes) + "...: field key has 1048576 bytes, at most 256 are allowed"},
	} {
		d := newTestDecoder()
		body := []byte(test.body + "\nm f=1 7\n")
		var batch engine.Batch
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		report, err := d.Decode(body, 1, testNow, &batch)
		runtime.ReadMemStats(&after)
		if err != nil {
			t.Fatal(err)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 16<<20 {
			t.Errorf("%s: decoding allocated %d MiB", test.name, took>>20)
		}
		if got := decodeText(t, d, string(body), time.Nanosecond); len(got.Samples) != 1 || len(got.Refused) != 1 || got.Refused[0] != test.refused || !report.OnlyLimits() {
			t.Errorf("%s: %d samples, refused %.200q", test.name, len(got.Samples), got.Refused)
		}
	}
	var most strings.Builder
	most.WriteString("m a=1")
	for i := range maxLineFields - 1 {
		fmt.Fprintf(&most, ",b%d=2", i)
	}
	if got := decodeText(t, newTestDecoder(), most.String(), time.Nanosecond); len(got.Samples) != maxLineFields || got.Refused != nil {
		t.Errorf("%d samples, refused %q", len(got.Samples), got.Refused)
	}
}

// turningClock finds each time too old the first time that it is asked, and good the second, as when the clock is put
// back.
type turningClock struct {
	*memoryResolver
	asked int
}

func (r *turningClock) CheckTime(engine.RetentionClass, int64) error {
	if r.asked++; r.asked%2 == 1 {
		return errors.New("too old")
	}
	return nil
}

func TestClockPutBack(t *testing.T) {
	store := newMemoryResolver()
	d := NewDecoder(NewCache(rawcache.Options{}), &turningClock{memoryResolver: store})
	var batch engine.Batch
	report, err := d.Decode([]byte("m a=1,b=2 1\n"), 1, testNow, &batch)
	if err != nil || report.RejectedLines != 1 || report.Errors[0].Reason != "too old" || batch.Len() > 0 || len(store.series) > 0 {
		t.Errorf("%v, %+v, %d samples, %v", err, report, batch.Len(), store.series)
	}
}

// TestManyFaults: what is listed is bounded, what is counted is not.
func TestManyFaults(t *testing.T) {
	d := newTestDecoder()
	got := decodeText(t, d, strings.Repeat("m\nm f=\"\"\nm f=1 1\n", 1000), time.Nanosecond)
	if len(got.Refused) != maxErrors || len(got.Samples) != 1000 || d.report.RejectedLines != 1000 || d.report.RejectedFields != 1000 ||
		!strings.HasPrefix(got.Refused[99], "149 f:") {
		t.Errorf("%d listed, the last %s; %d samples; %+v", len(got.Refused), got.Refused[99], len(got.Samples), d.report)
	}
}
