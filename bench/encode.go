package bench

import (
	"math"
	"strconv"

	"github.com/klauspost/compress/snappy"
	"google.golang.org/protobuf/encoding/protowire"
)

// Encodings of samples.
const (
	encodingInflux = "influx" // line protocol, ten fields a line
	encodingPRW    = "prw"    // Prometheus remote write 1.0, one sample a time series
	encodingJSON   = "json1"  // one sample with all its tags, in JSON; its shape is the system's own
)

// EncodingNames are what --encodings may have, the preferred ones first.
func EncodingNames() []string { return []string{encodingInflux, encodingPRW, encodingJSON} }

// encoder appends the body of the request that writes a block.
type encoder interface {
	appendBody(body []byte, w *Workload, b block) []byte
}

// hostTexts are the tags of all hosts in an encoding, made once.
type hostTexts [][]byte

func newHostTexts(hosts int, spell func(text []byte, tags []tag) []byte) hostTexts {
	texts := make(hostTexts, hosts)
	for host := range texts {
		texts[host] = spell(nil, tagsOf(host))
	}
	return texts
}

// appendValue spells a value with the fewest digits that give it back.
func appendValue(text []byte, value float64) []byte {
	return strconv.AppendFloat(text, value, 'f', -1, 64)
}

// influxEncoder writes line protocol: a line for each host and step.
type influxEncoder struct{ hosts hostTexts }

func newInfluxEncoder(hosts int) encoder {
	return influxEncoder{newHostTexts(hosts, func(text []byte, tags []tag) []byte {
		text = append(text, measurement...)
		for _, tag := range tags {
			text = append(append(append(append(text, ','), tag.key...), '='), tag.value...)
		}
		return append(text, ' ')
	})}
}

func (e influxEncoder) appendBody(body []byte, w *Workload, b block) []byte {
	for step := b.firstStep; step < b.firstStep+b.steps; step++ {
		for host := b.firstHost; host < b.firstHost+b.hosts; host++ {
			body = append(body, e.hosts[host]...)
			for field, name := range fields {
				if field > 0 {
					body = append(body, ',')
				}
				body = append(append(body, name...), '=')
				body = appendValue(body, w.series(host, field)[step])
			}
			body = append(body, ' ')
			body = strconv.AppendInt(body, w.at(step), 10)
			body = append(body, '\n')
		}
	}
	return body
}

// remoteEncoder writes remote write 1.0 under snappy. Fields are those of prompb.WriteRequest.
type remoteEncoder struct {
	hosts hostTexts
	names hostTexts // the label __name__ of each metric, which sorts before the tags
	plain []byte    // reused
}

func newRemoteEncoder(hosts int) encoder {
	e := &remoteEncoder{hosts: newHostTexts(hosts, func(text []byte, tags []tag) []byte {
		for _, tag := range tags {
			text = appendLabel(text, tag)
		}
		return text
	})}
	for field := range fields {
		e.names = append(e.names, appendLabel(nil, tag{"__name__", metricName(field)}))
	}
	return e
}

// appendLabel appends TimeSeries.labels, field 1, of a Label of name, field 1, and value, field 2.
func appendLabel(text []byte, label tag) []byte {
	size := protowire.SizeTag(1) + protowire.SizeBytes(len(label.key)) + protowire.SizeTag(2) + protowire.SizeBytes(len(label.value))
	text = protowire.AppendTag(text, 1, protowire.BytesType)
	text = protowire.AppendVarint(text, uint64(size))
	text = protowire.AppendString(protowire.AppendTag(text, 1, protowire.BytesType), label.key)
	return protowire.AppendString(protowire.AppendTag(text, 2, protowire.BytesType), label.value)
}

func (e *remoteEncoder) appendBody(body []byte, w *Workload, b block) []byte {
	e.plain = e.plain[:0]
	for step := b.firstStep; step < b.firstStep+b.steps; step++ {
		milliseconds := uint64(w.at(step) / 1e6)
		sampleSize := 1 + 8 + 1 + protowire.SizeVarint(milliseconds)
		for host := b.firstHost; host < b.firstHost+b.hosts; host++ {
			for field := range fields {
				labels := len(e.names[field]) + len(e.hosts[host])
				e.plain = protowire.AppendTag(e.plain, 1, protowire.BytesType) // WriteRequest.timeseries
				e.plain = protowire.AppendVarint(e.plain, uint64(labels+1+protowire.SizeBytes(sampleSize)))
				e.plain = append(append(e.plain, e.names[field]...), e.hosts[host]...)
				e.plain = protowire.AppendTag(e.plain, 2, protowire.BytesType) // TimeSeries.samples
				e.plain = protowire.AppendVarint(e.plain, uint64(sampleSize))
				e.plain = protowire.AppendTag(e.plain, 1, protowire.Fixed64Type) // Sample.value
				e.plain = protowire.AppendFixed64(e.plain, math.Float64bits(w.series(host, field)[step]))
				e.plain = protowire.AppendTag(e.plain, 2, protowire.VarintType) // Sample.timestamp
				e.plain = protowire.AppendVarint(e.plain, milliseconds)
			}
		}
	}
	return append(body, snappy.Encode(nil, e.plain)...)
}

// jsonEncoder writes one object a sample. The shapes differ: ours is the body of POST /metrics, that of
// VictoriaMetrics the lines of /api/v1/import.
type jsonEncoder struct {
	hosts      hostTexts
	head, tail string // of the body
	separator  string // between samples
	sample     func(body []byte, name string, tags []byte, value float64, milliseconds int64) []byte
}

// newHostObjects spells the tags of hosts as members of an object, without braces.
func newHostObjects(hosts int) hostTexts {
	return newHostTexts(hosts, func(text []byte, tags []tag) []byte {
		for i, tag := range tags {
			if i > 0 {
				text = append(text, ',')
			}
			text = append(append(append(append(append(text, '"'), tag.key...), `":"`...), tag.value...), '"')
		}
		return text
	})
}

func newMetricsEncoder(hosts int) encoder {
	return jsonEncoder{
		hosts: newHostObjects(hosts), head: `{"source":"bench","metrics":[`, tail: `]}`, separator: ",",
		sample: func(body []byte, name string, tags []byte, value float64, milliseconds int64) []byte {
			body = append(append(append(body, `{"name":"`...), name...), `","value":`...)
			body = append(appendValue(body, value), `,"timestamp":`...)
			body = append(strconv.AppendInt(body, milliseconds, 10), `,"tags":{`...)
			return append(append(body, tags...), "}}"...)
		},
	}
}

func newImportEncoder(hosts int) encoder {
	return jsonEncoder{
		hosts: newHostObjects(hosts), tail: "\n", separator: "\n",
		sample: func(body []byte, name string, tags []byte, value float64, milliseconds int64) []byte {
			body = append(append(append(body, `{"metric":{"__name__":"`...), name...), `",`...)
			body = append(append(body, tags...), `},"values":[`...)
			body = append(appendValue(body, value), `],"timestamps":[`...)
			return append(strconv.AppendInt(body, milliseconds, 10), "]}"...)
		},
	}
}

func (e jsonEncoder) appendBody(body []byte, w *Workload, b block) []byte {
	body = append(body, e.head...)
	first := true
	for step := b.firstStep; step < b.firstStep+b.steps; step++ {
		for host := b.firstHost; host < b.firstHost+b.hosts; host++ {
			for field := range fields {
				if !first {
					body = append(body, e.separator...)
				}
				first = false
				body = e.sample(body, metricName(field), e.hosts[host], w.series(host, field)[step], w.at(step)/1e6)
			}
		}
	}
	return append(body, e.tail...)
}
