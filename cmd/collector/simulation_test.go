package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/flopynet/collector/flopynet"
)

var printedFlag = regexp.MustCompile(`--flopynet-\S+`)

// TestTestbedAlone polls a testbed that is a process of its own, with the flags that it prints.
func TestTestbedAlone(t *testing.T) {
	address := freeAddress(t)
	c := command(t, nil, "testbed", "--collector=http://"+address, "--round-every=200ms", "--clients=2")
	printed := &lockedBuffer{}
	c.Stdout = printed
	bed := launch(t, c)
	bed.printed = printed
	e := &experiment{process: bed}
	e.await(t, "what the testbed prints", func() bool { return strings.Contains(printed.String(), "how they are") })

	flags := printedFlag.FindAllString(printed.String(), -1)
	if len(flags) != 4 {
		t.Fatalf("flags %v in\n%s", flags, printed)
	}
	e.arguments = append([]string{"serve", "--listen=" + address, "--data-dir=" + t.TempDir()}, flags...)
	e.startCollector(t)
	for _, name := range flopynet.Components() {
		e.awaitHealth(t, name, flopynet.StatusHealthy)
	}
	e.await(t, "what the clients push", func() bool {
		var series struct {
			Series []struct {
				Tags map[string]string `json:"tags"`
			} `json:"series"`
		}
		get(t, e.url+"/metrics/series?metric=training_time&source=fl_client", &series)
		return len(series.Series) == 2 && len(series.Series[0].Tags) == 1
	})
	e.terminate(t)
	bed.terminate(t)
}
