package flopynet

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// TestAnswersOfVeryManyElements: what is a few bytes in an answer must not become a hundred times as much, many million times.
func TestAnswersOfVeryManyElements(t *testing.T) {
	const most = 96 << 20 // bytes that may be allocated: by far less than it would be for all of the elements
	many := func(element string, size int) string {
		return strings.Repeat(element+",", size/(len(element)+1)) + element
	}
	var objects strings.Builder
	for i := range 500_000 {
		_, _ = fmt.Fprintf(&objects, `"%d":1,`, i)
	}
	read := func(into any) func([]byte) error { return func(body []byte) error { return decodeAnswer(body, into) } }
	for name, row := range map[string]struct {
		body string
		read func([]byte) error
		good bool
	}{
		"events":    {`{"events":[` + many("{}", 8<<20) + `]}`, read(&flEventsAnswer{}), false},
		"decisions": {`[` + many("{}", 8<<20) + `]`, read(&underKey[object]{}), false},
		"rounds":    {`{"rounds":[` + many("1", 8<<20) + `]}`, read(&roundPageAnswer{}), false},
		"flows":     {`{` + objects.String() + `"x":1}`, read(&members{}), false},
		"metrics": {`{` + objects.String() + `"x":1}`, func(body []byte) error {
			if kept := object(body).scalars(); kept != nil {
				return fmt.Errorf("kept %d bytes", len(kept))
			}
			return nil
		}, true},
		"addresses": {`[` + many("1", 4<<20) + `]`, func(body []byte) error { parseAddresses(body); return nil }, true},
	} {
		body := []byte(row.body)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := row.read(body)
		runtime.ReadMemStats(&after)
		if (err == nil) != row.good || err != nil && !strings.Contains(err.Error(), "more than 100000 elements") {
			t.Errorf("%s: %v", name, err)
		}
		if allocated := after.TotalAlloc - before.TotalAlloc; allocated > most {
			t.Errorf("%s: %d bytes are allocated for an answer of %d", name, allocated, len(body))
		}
	}
}

// TestPortsOf: each port once, and no more than are kept.
func TestPortsOf(t *testing.T) {
	var told []json.RawMessage
	for i := range 2 * maxPorts {
		for _, bytes := range []int{7, 8} {
			told = append(told, fmt.Appendf(nil, `{"port_no":%d,"rx_bytes":%d}`, 2*maxPorts-i, bytes))
		}
	}
	ports, leftOut := portsOf(append(told, []byte(`"x"`)))
	if len(ports) != maxPorts || leftOut != maxPorts || ports[0].port != 1 || ports[0].counters[rxBytes] != 7 {
		t.Errorf("%d ports, %d left out, the first %+v", len(ports), leftOut, ports[0])
	}
}
