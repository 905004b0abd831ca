package ingest

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestSyntaxErrors(t *testing.T) {
	tests := []struct {
		body         string
		line, column int
		message      string
	}{
		{``, 1, 1, "expected a value, found the end of the body"},
		{"  \n ", 2, 2, "expected a value, found the end of the body"},
		{`{"metrics":[]`, 1, 14, "expected a comma or the end of the object, found the end of the body"},
		{`{"metrics":[}`, 1, 13, "expected a value, found '}'"},
		{`{"metrics":[{"name":"a","value":1}{`, 1, 35, "expected a comma or the end of the array, found '{'"},
		{`{"metrics":[],}`, 1, 15, "expected a key in quotation marks, found '}'"},
		{`{"metrics" []}`, 1, 12, "expected a colon, found '['"},
		{`{"metrics":[]} x`, 1, 16, "expected nothing behind the body's value, found 'x'"},
		{`{'metrics':[]}`, 1, 2, `expected a key in quotation marks, found '\''`},
		{"{\"metrics\":\n  [{\"value\": 01}]}", 2, 14, "a number must not begin with a zero that another digit follows"},
		{`[{"value":+1}]`, 1, 11, "expected a value, found '+'"},
		{`[{"value":-}]`, 1, 12, "expected a digit, found '}'"},
		{`[{"value":1.}]`, 1, 13, "expected a digit behind the decimal point, found '}'"},
		{`[{"value":1e}]`, 1, 13, "expected a digit of the exponent, found '}'"},
		{`[{"value":NaN}]`, 1, 11, "expected a value, found 'N'"},
		{`[{"value":nul}]`, 1, 11, "expected a value, found 'n'"},
		{`[{"name":"a`, 1, 10, `expected a string that ends, found '"'`},
		{"[{\"name\":\"a\nb\"}]", 1, 12, "a control character in a string must be escaped"},
		{`[{"name":"\x"}]`, 1, 12, `expected one of "\/bfnrtu behind the backslash, found 'x'`},
		{`[{"name":"\u12g4"}]`, 1, 15, "expected a hexadecimal digit, found 'g'"},
		{"[{\"name\":\"caf\xe9\"}]", 1, 14, "byte 0xe9 is not valid UTF-8 here"},
		{"[{\"tags\":{\"a\":\"\xed\xa0\x80\"}}]", 1, 16, "byte 0xed is not valid UTF-8 here"},
		{"\xff", 1, 1, "expected a value, found byte 0xff"},
		{"\x00", 1, 1, "expected a value, found byte 0x00"},
	}
	for _, test := range tests {
		d := NewDecoder(NewCache(CacheOptions{MaxEntries: 16}), newMemoryResolver())
		_, _, err := decodeBody(t, d, []byte(test.body), Metrics)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || syntax.Line != test.line || syntax.Column != test.column || syntax.Message != test.message {
			t.Errorf("%q:\n got %v\nwant line %d, column %d: %s", test.body, err, test.line, test.column, test.message)
		}
	}
}

func TestNestingIsBounded(t *testing.T) {
	for _, depth := range []int{10, maxDepth, maxDepth + 1, 1_000_000} {
		for _, prefix := range []string{`{"metrics":[],"x":`, `[{"x":`, `[{"name":"a","value":1,"tags":`, `{"x":`} {
			nested := prefix + strings.Repeat("[", depth) + strings.Repeat("]", depth) + strings.Repeat("}", strings.Count(prefix, "{")-strings.Count(prefix, "}"))
			if prefix[0] == '[' {
				nested += "]"
			}
			d := NewDecoder(NewCache(CacheOptions{MaxEntries: 16}), newMemoryResolver())
			_, _, err := decodeBody(t, d, []byte(nested), Metrics)
			var syntax *SyntaxError
			if tooDeep := depth > maxDepth; tooDeep != errors.As(err, &syntax) {
				t.Errorf("%s and %d brackets: %v", prefix, depth, err)
			} else if tooDeep && syntax.Message != "values are nested more than 1000 deep" {
				t.Errorf("%s and %d brackets: %v", prefix, depth, err)
			}
		}
	}
}

// TestStringsAtEveryOffset moves each special byte through the eight bytes that are looked at together.
func TestStringsAtEveryOffset(t *testing.T) {
	for length := range 20 {
		for at := range length + 1 {
			for b := range 256 {
				text := []byte(`"` + strings.Repeat("x", length) + `" tail`)
				text[1+at] = byte(b)
				s := scanner{text: text}
				want := json.Valid(text[:length+2]) && utf8.Valid(text[:length+2])
				if next := s.skipString(0); want != (next == length+2) && (b != '"' || next != at+2) {
					t.Fatalf("%q: next is %d", text, next)
				}
			}
		}
	}
}

func FuzzValid(f *testing.F) {
	for _, seed := range []string{`{"a":[1,-0.5e+3,"x\u00e9\n",true,false,null,{}]}`, `[]`, ` "é" `, `"\ud800"`, `01`, `[1,]`, `{"a"}`, "\"\x7f\"", "tru"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if deepest(text) > maxDepth-10 {
			return
		}
		s := scanner{text: text}
		i := s.skipValue(s.space(0))
		got := i >= 0 && s.space(i) == len(text)
		if want := json.Valid(text) && utf8.Valid(text); got != want {
			t.Fatalf("%q: valid is %v, want %v (%+v)", text, got, want, s.fault)
		}
	})
}

func FuzzNumber(f *testing.F) {
	for _, seed := range []string{
		"0", "-0", "1", "45.2", "0.1", "9007199254740992", "9007199254740993", "9007199254740991e22", "1e23", "1e22", "1e-22", "1e-23", "123456789012345678",
		"12345678901234567890", "1e308", "1.8e308", "1e999", "-1e999", "4.9e-324", "2e-324", "1e-999999999999999999999", "0.000000000000000000001",
		"100000000000000016777215", "2.2250738585072011e-308", "01", "1.", ".5", "+1", "1e", "0x1p-2", "1_0", "Inf", "NaN", "-",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := scanner{text: []byte(text)}
		got, next := 0.0, failed
		if c := s.at(0); c == '-' || isDigit(c) {
			got, next = s.number(0)
		}
		var number json.Number
		valid := json.Unmarshal([]byte(text), &number) == nil && text != "" && text != "null" && strings.Trim(text, " \t\r\n\"") == text
		if valid != (next == len(text)) {
			t.Fatalf("%q: next is %d, valid %v", text, next, valid)
		}
		if !valid {
			return
		}
		want, err := strconv.ParseFloat(text, 64)
		if math.Float64bits(got) != math.Float64bits(want) || (err != nil) != math.IsInf(got, 0) {
			t.Fatalf("%q: got %v, want %v, %v", text, got, want, err)
		}
	})
}

func TestUnescape(t *testing.T) {
	for _, raw := range []string{
		`""`, `"plain"`, `"\"\\\/\b\f\n\r\t"`, `"\u0041\u00e9\u65e5"`, `"\ud83d\ude00"`, `"\uD83D\uDE00x"`, `"\ud83d"`, `"\ude00\ud83d"`,
		`"\ud83d\ud83d\ude00"`, `"\ud83dx"`, `"\ud83d\n"`, `"\u0000"`, `"é\u00e9日本"`,
	} {
		var want string
		if err := json.Unmarshal([]byte(raw), &want); err != nil {
			t.Fatal(err)
		}
		got, _ := content([]byte(raw), nil)
		if string(got) != want {
			t.Errorf("%s: got %q, want %q", raw, got, want)
		}
	}
}
