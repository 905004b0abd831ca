package httpapi

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/flopynet/collector/internal/ingest"
	"github.com/flopynet/collector/internal/lineproto"
	"github.com/flopynet/collector/internal/remotewrite"
)

// TestAnswersAreTheirOwn writes lines of which none, some or all are refused, from many clients at once: each gets
// the answer to its own request.
func TestAnswersAreTheirOwn(t *testing.T) {
	const clients, requests = 8, 150
	ts := startServer(t, Options{Now: influxClock})
	var wait sync.WaitGroup
	for client := range clients {
		wait.Go(func() {
			for i := range requests {
				bad := (client + i) % 4
				body := strings.Repeat("m f=1 1\n", 4-bad) + strings.Repeat(fmt.Sprintf("m s%d=\"\" 1\n", client), bad)
				answer := ts.do(http.MethodPost, "/write", []byte(body))
				if bad == 0 && answer.status != http.StatusNoContent || bad > 0 && answer.status != http.StatusBadRequest {
					t.Errorf("%d of 4 lines are bad, and the answer is %d %s", bad, answer.status, answer.body)
					return
				}
				if want := fmt.Sprintf("field \"s%d\"", client); bad > 0 && strings.Count(answer.header.Get("X-Influxdb-Error"), want) != bad {
					t.Errorf("client %d has %d bad lines and is told %s", client, bad, answer.body)
					return
				}
			}
		})
	}
	wait.Wait()
}

// TestScratchFits: what decoding any body takes finds room beside it, so that a request is never told to try again for
// ever.
func TestScratchFits(t *testing.T) {
	largest := int(Options{}.withDefaults().MaxDecodedBytes)
	for name, bytes := range map[string]int64{
		"lines": lineproto.ScratchBytes(largest), "remote write 1.0": remotewrite.ScratchBytes(largest, remotewrite.V1),
		"remote write 2.0": remotewrite.ScratchBytes(largest, remotewrite.V2), "JSON": ingest.ScratchBytes(largest),
	} {
		if bytes > handlingBytes {
			t.Errorf("%s: decoding reserves %d MiB, %d MiB are set aside", name, bytes>>20, handlingBytes>>20)
		}
	}
}

// TestForeignHostOfInflux: InfluxDB's clients can read why the name by which they reach the server is refused.
func TestForeignHostOfInflux(t *testing.T) {
	ts := startServer(t, Options{})
	for _, path := range []string{"/write", "/api/v1/write/", "/api/v2/write"} {
		answer := ts.do(http.MethodPost, path, []byte("m f=1"), "Host", "metrics.lab")
		answer.wantError(t, http.StatusForbidden, "FORBIDDEN")
		if text := answer.header.Get("X-Influxdb-Error"); !strings.Contains(text, "metrics.lab") {
			t.Errorf("%s: %q, %s", path, text, answer.body)
		}
	}
}
