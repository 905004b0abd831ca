package bench

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/wcharczuk/go-chart/v2"
)

// samplePlots are one of each kind.
func samplePlots() []Plot {
	return []Plot{
		{File: "bars", Title: "Writing", Unit: "samples/s", Bars: []BarGroup{
			{"influx dec2", []Bar{{oursName, 3.1e6}, {baselineName, 1.2e6}, {"InfluxDB", 0.7e6}}},
			{"prw dec2", []Bar{{oursName, 1.9e6}, {baselineName, 1.0e6}, {"Prometheus", 0.25e6}}},
			{"json1 dec2", []Bar{{oursName, 1.3e6}, {baselineName, 0.6e6}}},
		}},
		{File: "log", Title: "Queries", Unit: "ms", LogY: true, Bars: []BarGroup{
			{"a", []Bar{{oursName, 0.3}, {baselineName, 0.65}}},
			{"d0", []Bar{{oursName, 4.5}, {baselineName, 30}, {"InfluxDB", 4504}}},
		}},
		{File: "lines", Title: "Memory", Unit: "bytes a series", XLabel: "series", LogX: true, LogY: true, Lines: []Line{
			{oursName, []float64{1e3, 1e4, 1e5, 1e6}, []float64{900, 650, 600, 590}},
			{baselineName, []float64{1e3, 1e4, 1e5, 1e6}, []float64{9000, 2000, 1600, 1500}},
		}},
		{File: "linear", Title: "Query", Unit: "ms", XLabel: "hours", Lines: []Line{{oursName, []float64{1, 24, 168}, []float64{0.3, 0.8, 2}}}},
	}
}

// TestPlots draws each kind as SVG, which must be well formed. With COLLECTOR_PLOTS a folder gets them as PNG,
// to be looked at.
func TestPlots(t *testing.T) {
	for _, plot := range samplePlots() {
		var svg bytes.Buffer
		if err := plot.render(chart.SVG, &svg); err != nil {
			t.Fatal(err)
		}
		texts, decoder := 0, xml.NewDecoder(bytes.NewReader(svg.Bytes()))
		for {
			token, err := decoder.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", plot.File, err)
			}
			if element, isStart := token.(xml.StartElement); isStart && element.Name.Local == "text" {
				texts++
			}
		}
		for _, name := range plot.names() {
			if !bytes.Contains(svg.Bytes(), []byte(name)) {
				t.Errorf("%s has no legend of %s", plot.File, name)
			}
		}
		if texts < 5 {
			t.Errorf("%s has %d texts: where are its axes?", plot.File, texts)
		}
		if folder := os.Getenv("COLLECTOR_PLOTS"); folder != "" {
			var png bytes.Buffer
			if err := plot.render(chart.PNG, &png); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(folder, plot.File+".png"), png.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}
