package ingest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// bodyMaker writes random bodies: mostly right, with every kind of fault now and then.
type bodyMaker struct {
	*rand.Rand
	strings.Builder
}

func (m *bodyMaker) oneIn(n int) bool { return m.IntN(n) == 0 }

func (m *bodyMaker) pick(choices ...string) string { return choices[m.IntN(len(choices))] }

func (m *bodyMaker) space() {
	if m.oneIn(20) {
		m.WriteString(m.pick(" ", "\n", "\t ", "\r\n"))
	}
}

// object writes members, each "key":value, in random order and with some of them twice.
func (m *bodyMaker) object(members ...string) string {
	m.Shuffle(len(members), func(i, j int) {
		if m.oneIn(3) {
			members[i], members[j] = members[j], members[i]
		}
	})
	var out strings.Builder
	out.WriteByte('{')
	for i, member := range members {
		if i > 0 {
			out.WriteString(m.pick(",", ",", ", ", " ,\n"))
		}
		out.WriteString(member)
	}
	out.WriteByte('}')
	return out.String()
}

func (m *bodyMaker) anything() string {
	return m.pick("null", "true", "12", "-0.5e3", `"text"`, `""`, `[]`, `{}`, `[1,{"a":[null]}]`, `{"name":{"b":"c"}}`, `"\ud83d\ude00"`, "1e999")
}

func (m *bodyMaker) text(choices ...string) string {
	if m.oneIn(60) {
		return m.anything()
	}
	return m.pick(choices...)
}

func (m *bodyMaker) number() string {
	switch m.IntN(8) {
	case 0:
		return m.pick("0", "-0", "1e308", "1e309", "4.9e-324", "1e-400", "123456789012345678901234567890", "0.1", "9007199254740993", "-1E+2")
	case 1:
		return fmt.Sprint(m.NormFloat64())
	case 2:
		return fmt.Sprint(m.IntN(1000))
	default:
		return fmt.Sprintf("%.2f", m.Float64()*100)
	}
}

func (m *bodyMaker) time() string {
	return m.text(`"2024-01-15T10:30:00Z"`, `"2024-01-15T10:30:00.123456789+02:00"`, "1705314600", "1705314600.5", "1705314600123",
		`"now-1h"`, `"\u006eow"`, "null", `"1969-12-31"`, `"1970-01-01T00:00:01Z"`, `"2300-01-01"`, `"yesterday"`)
}

func (m *bodyMaker) tags() string {
	if m.oneIn(30) {
		return m.anything()
	}
	var members []string
	for range m.IntN(4) {
		key := m.pick(`"host"`, `"host"`, `"region"`, `"h\u006fst"`, `"experiment_id"`, `"größe"`)
		if m.oneIn(15) {
			key = m.pick(`"source"`, `"exported_source"`, `""`, `"a\u0000"`)
		}
		members = append(members, key+":"+m.text(`"fl-server-01"`, `"fl-server-02"`, `"x\ny"`, `"é\u00e9"`, `""`, "null", "7", "true", `"\ud800"`))
	}
	return m.object(members...)
}

func (m *bodyMaker) metric() string {
	if m.oneIn(60) {
		return m.anything()
	}
	members := []string{`"name":` + m.text(`"cpu_usage"`, `"cpu_usage"`, `"memory_usage"`, `"cpu\u005fusage"`, `"日本"`)}
	if m.oneIn(8) {
		var pairs []string
		for range m.IntN(4) {
			pairs = append(pairs, "["+m.time()+","+m.number()+"]")
		}
		members = append(members, `"values":[`+strings.Join(pairs, ",")+"]")
	} else {
		members = append(members, `"value":`+m.number())
	}
	if m.oneIn(2) {
		members = append(members, `"tags":`+m.tags())
	}
	if m.oneIn(3) {
		members = append(members, `"unit":`+m.text(`"percent"`, `"MB"`, `""`, "null", `"%\u0020"`))
	}
	if m.oneIn(4) {
		members = append(members, `"timestamp":`+m.time())
	}
	if m.oneIn(8) {
		members = append(members, `"source":`+m.text(`"fl_server"`, `"sdn"`, `""`, "null"))
	}
	if m.oneIn(20) {
		members = append(members, m.pick(`"name"`, `"value"`, `"values"`, `"unit"`, `"tags"`, `"timestamp"`, `"type"`, `"n\u0061me"`, `"nam"`)+":"+m.anything())
	}
	return m.object(members...)
}

func (m *bodyMaker) list() string {
	var metrics []string
	for range m.IntN(6) {
		metric := m.metric()
		metrics = append(metrics, metric)
		if m.oneIn(3) {
			metrics = append(metrics, metric)
		}
	}
	return "[" + strings.Join(metrics, m.pick(",", ", ", ",\n")) + "]"
}

func (m *bodyMaker) envelope() string {
	members := []string{}
	if m.oneIn(2) {
		members = append(members, `"source":`+m.text(`"fl_server"`, `"sdn"`, `""`, "null", `"s\u0064n"`))
	}
	if m.oneIn(2) {
		members = append(members, `"timestamp":`+m.time())
	}
	if m.oneIn(5) {
		members = append(members, `"batch_id":`+m.text(`"b1"`, "null", `"`+strings.Repeat("é", 255)+`"`, `"`+strings.Repeat("x", 256)+`"`))
	}
	if m.oneIn(10) {
		members = append(members, m.pick(`"metrics"`, `"source"`, `"timestamp"`, `"other"`, `"batches"`)+":"+m.anything())
	}
	if !m.oneIn(50) {
		members = append(members, `"metrics":`+m.list())
	}
	return m.object(members...)
}

// body writes a body of either shape and, at times, damages it.
func (m *bodyMaker) body() []byte {
	m.Reset()
	m.space()
	switch {
	case m.oneIn(6):
		m.WriteString(m.list())
	case m.oneIn(2):
		m.WriteString(m.envelope())
	default:
		var envelopes []string
		for range m.IntN(4) {
			envelopes = append(envelopes, m.envelope())
		}
		members := []string{`"batches":[` + strings.Join(envelopes, ",") + "]"}
		if m.oneIn(10) {
			members = append(members, m.pick(`"batches"`, `"batch_id"`, `"extra"`)+":"+m.anything())
		}
		m.WriteString(m.object(members...))
	}
	m.space()
	text := []byte(m.String())
	if m.oneIn(6) {
		at := m.IntN(len(text))
		switch m.IntN(3) {
		case 0:
			text = text[:at]
		case 1:
			text[at] = byte(m.IntN(256))
		default:
			text = append(text[:at], text[at+1:]...)
		}
	}
	return text
}

func TestRandomBodies(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	m := &bodyMaker{Rand: rand.New(rand.NewPCG(seed, 0))}
	used := NewDecoder(NewCache(CacheOptions{MaxEntries: 64, MaxBytes: 4 << 10}), newMemoryResolver())
	for range 6_000 {
		body := m.body()
		for _, shape := range []Shape{Metrics, Batches} {
			checkBody(t, body, shape, used)
		}
	}
}

func FuzzDecode(f *testing.F) {
	m := &bodyMaker{Rand: rand.New(rand.NewPCG(1, 2))}
	for range 40 {
		f.Add(m.body(), false)
		f.Add(m.body(), true)
	}
	f.Fuzz(func(t *testing.T, body []byte, batches bool) {
		shape := Metrics
		if batches {
			shape = Batches
		}
		if deepest(body) > maxDepth-10 {
			return
		}
		checkBody(t, body, shape, NewDecoder(NewCache(CacheOptions{MaxEntries: 16}), newMemoryResolver()))
	})
}

// deepest returns an upper bound of how deeply brackets nest.
func deepest(body []byte) int {
	depth, most := 0, 0
	for _, b := range body {
		switch b {
		case '[', '{':
			depth++
			most = max(most, depth)
		case ']', '}':
			depth--
		}
	}
	return most
}
