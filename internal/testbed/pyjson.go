package testbed

import (
	"bytes"
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"time"
)

// object is a JSON object. Its keys are sent in order, as Flask sends them.
type object = map[string]any

// pyFloat is a number that Python holds as a float: 1.0 rather than 1, 1e-05 rather than 0.00001.
type pyFloat float64

// MarshalJSON spells the number as Python's repr does.
func (f pyFloat) MarshalJSON() ([]byte, error) {
	value := float64(f)
	if size := math.Abs(value); size != 0 && (size < 1e-4 || size >= 1e16) {
		return strconv.AppendFloat(nil, value, 'e', -1, 64), nil
	}
	text := strconv.AppendFloat(nil, value, 'f', -1, 64)
	if !bytes.ContainsRune(text, '.') {
		text = append(text, ".0"...)
	}
	return text, nil
}

// epoch is a time as Python's time.time() tells it.
func epoch(t time.Time) pyFloat { return pyFloat(float64(t.UnixMicro()) / 1e6) }

// seconds is a duration as a difference of time.time().
func seconds(d time.Duration) pyFloat { return pyFloat(float64(d.Microseconds()) / 1e6) }

func milliseconds(d time.Duration) pyFloat { return pyFloat(float64(d.Microseconds()) / 1e3) }

// isoTime is a time as Python's isoformat spells it: microseconds only if there are any.
func isoTime(t time.Time, naive bool) string {
	layout := "2006-01-02T15:04:05"
	if t.Nanosecond() >= 1000 {
		layout += ".000000"
	}
	text := t.UTC().Format(layout)
	if !naive {
		text += "+00:00"
	}
	return text
}

// encode returns the value as JSON with a newline, as Flask does.
func encode(value any) []byte {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		panic("testbed: " + err.Error()) // all values are ours
	}
	return buffer.Bytes()
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	body := encode(value)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the peer has gone: it doesn't want the answer
}
