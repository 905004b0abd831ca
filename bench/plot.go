package bench

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"

	"github.com/wcharczuk/go-chart/v2"
	"github.com/wcharczuk/go-chart/v2/drawing"
)

// Plot is a picture of some figures: lines over numbers, or bars in groups.
type Plot struct {
	File  string // its name without .svg
	Title string
	Unit  string // of the values, the y axis

	XLabel string // of the x axis, for lines
	LogX   bool   // the x axis is logarithmic
	LogY   bool

	Lines []Line // lines, or
	Bars  []BarGroup
}

// Line is a line of a plot. X and Y have the same length, and X ascends.
type Line struct {
	Name string
	X, Y []float64
}

// BarGroup is some bars beside each other, such as one for each system.
type BarGroup struct {
	Name string
	Bars []Bar
}

// Bar is one of them. Bars of one name have one colour.
type Bar struct {
	Name  string
	Value float64
}

// Size of a plot in pixels.
const (
	plotWidth  = 960
	plotHeight = 420
)

// palette has the colours of lines and bars, told apart by the colour-blind too (Okabe and Ito, 2008).
var palette = [...]drawing.Color{
	drawing.ColorFromHex("0072B2"), drawing.ColorFromHex("E69F00"), drawing.ColorFromHex("CC79A7"),
	drawing.ColorFromHex("009E73"), drawing.ColorFromHex("D55E00"), drawing.ColorFromHex("56B4E9"),
}

// render draws a plot as SVG, or with chart.PNG as that.
func (p Plot) render(format chart.RendererProvider, out io.Writer) error {
	var err error
	if len(p.Bars) > 0 {
		err = p.bars().Render(format, out)
	} else {
		lines := p.lines()
		err = lines.Render(format, out)
	}
	if err != nil {
		return fmt.Errorf("drawing %s: %w", p.File, err)
	}
	return nil
}

// names are those of the lines or bars, in the order in which they come.
func (p Plot) names() []string {
	var names []string
	add := func(name string) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, line := range p.Lines {
		add(line.Name)
	}
	for _, group := range p.Bars {
		for _, bar := range group.Bars {
			add(bar.Name)
		}
	}
	return names
}

func colourOf(index int) drawing.Color { return palette[index%len(palette)] }

func (p Plot) lines() chart.Chart {
	var xs, ys []float64
	drawn := chart.Chart{
		Title: p.title(), TitleStyle: chart.Style{FontSize: 12}, Width: plotWidth, Height: plotHeight,
		Background: chart.Style{Padding: chart.Box{Top: 60, Left: 20, Right: 20, Bottom: 10}},
	}
	for i, line := range p.Lines {
		xs, ys = append(xs, line.X...), append(ys, line.Y...)
		drawn.Series = append(drawn.Series, chart.ContinuousSeries{
			Name: line.Name, XValues: line.X, YValues: line.Y,
			Style: chart.Style{StrokeColor: colourOf(i), StrokeWidth: 2, DotColor: colourOf(i), DotWidth: 3},
		})
	}
	drawn.XAxis = chart.XAxis{Name: p.XLabel, Range: rangeOf(xs, p.LogX), ValueFormatter: shortNumber}
	drawn.YAxis = chart.YAxis{Range: rangeOf(ys, p.LogY), ValueFormatter: shortNumber, AxisType: chart.YAxisSecondary,
		GridMajorStyle: chart.Style{StrokeColor: drawing.ColorFromHex("dddddd"), StrokeWidth: 1}}
	drawn.Elements = []chart.Renderable{p.legend}
	return drawn
}

func (p Plot) bars() chart.BarChart {
	names, values := p.names(), []float64{}
	drawn := chart.BarChart{
		Title: p.title(), TitleStyle: chart.Style{FontSize: 12}, Width: plotWidth, Height: plotHeight,
		Background: chart.Style{Padding: chart.Box{Top: 60, Left: 20, Right: 20, Bottom: 50}},
		XAxis:      chart.Style{TextWrap: chart.TextWrapWord},
	}
	for i, group := range p.Bars {
		if i > 0 {
			drawn.Bars = append(drawn.Bars, chart.Value{Style: chart.Style{FillColor: drawing.ColorTransparent, StrokeColor: drawing.ColorTransparent}})
		}
		for j, bar := range group.Bars {
			colour := colourOf(slices.Index(names, bar.Name))
			shown := chart.Value{Value: bar.Value, Style: chart.Style{FillColor: colour, StrokeColor: colour}}
			if j == (len(group.Bars)-1)/2 {
				shown.Label = group.Name
			}
			drawn.Bars, values = append(drawn.Bars, shown), append(values, bar.Value)
		}
	}
	drawn.BarSpacing = 4
	drawn.BarWidth = max(4, (plotWidth-140)/len(drawn.Bars)-drawn.BarSpacing)
	axis := rangeOf(values, p.LogY)
	if p.LogY { // there is no place for the zero of the gaps
		for i := range drawn.Bars {
			drawn.Bars[i].Value = max(drawn.Bars[i].Value, axis.GetMin())
		}
	}
	drawn.YAxis = chart.YAxis{Range: axis, ValueFormatter: shortNumber}
	drawn.Elements = []chart.Renderable{p.legend}
	return drawn
}

// title has the unit of the values, which stand at an axis without a name.
func (p Plot) title() string { return p.Title + " (" + p.Unit + ")" }

// legend draws a square and a name for each colour, in a row below the title.
func (p Plot) legend(r chart.Renderer, canvas chart.Box, defaults chart.Style) {
	x := canvas.Left
	for i, name := range p.names() {
		y := 48
		chart.Draw.Box(r, chart.Box{Top: y - 9, Left: x, Right: x + 10, Bottom: y + 1}, chart.Style{FillColor: colourOf(i), StrokeColor: colourOf(i)})
		style := chart.Style{FontSize: 9, FontColor: drawing.ColorBlack, Font: defaults.Font}
		chart.Draw.Text(r, name, x+15, y, style)
		x += 35 + chart.Draw.MeasureText(r, name, style).Width()
	}
}

// shortNumber spells a value at an axis: 1.5M for 1500000.
func shortNumber(value any) string {
	number, _ := value.(float64)
	for _, unit := range []struct {
		size float64
		name string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if math.Abs(number) >= unit.size {
			return strconv.FormatFloat(number/unit.size, 'g', 3, 64) + unit.name
		}
	}
	return strconv.FormatFloat(number, 'g', 3, 64)
}

// rangeOf is an axis that holds these values.
func rangeOf(values []float64, logarithmic bool) chart.Range {
	least, most := math.Inf(1), math.Inf(-1)
	for _, value := range values {
		if !logarithmic || value > 0 {
			least, most = min(least, value), max(most, value)
		}
	}
	if least > most { // there is none
		least, most = 0.1, 1
	}
	if logarithmic {
		lowest, highest := math.Floor(math.Log10(least)), math.Ceil(math.Log10(most))
		return &logRange{chart.ContinuousRange{Min: math.Pow(10, lowest), Max: math.Pow(10, max(highest, lowest+1))}}
	}
	tick := tickOf(most - min(0, least))
	return &roundRange{chart.ContinuousRange{Min: math.Floor(min(0, least)/tick) * tick, Max: math.Ceil(most/tick) * tick}, tick}
}

// tickOf is the distance of some five marks over a width: 1, 2 or 5 times a power of ten.
func tickOf(width float64) float64 {
	if width <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(width/4)))
	for _, factor := range []float64{5, 2} {
		if width/(factor*power) >= 4 {
			return factor * power
		}
	}
	return power
}

// roundRange is a linear axis that is marked at round numbers.
type roundRange struct {
	chart.ContinuousRange
	tick float64
}

// GetTicks marks the multiples of tick.
func (r *roundRange) GetTicks(_ chart.Renderer, _ chart.Style, spell chart.ValueFormatter) []chart.Tick {
	var ticks []chart.Tick
	for value := r.Min; value <= r.Max+r.tick/2; value += r.tick {
		ticks = append(ticks, chart.Tick{Value: value, Label: spell(value)})
	}
	return ticks
}

// logRange is a logarithmic axis over whole powers of ten. The library's own begins at 1.
type logRange struct{ chart.ContinuousRange }

// Translate returns where a value stands, in pixels.
func (r *logRange) Translate(value float64) int {
	share := math.Log(max(value, r.Min)/r.Min) / math.Log(r.Max/r.Min)
	if r.IsDescending() {
		return r.Domain - int(math.Ceil(share*float64(r.Domain)))
	}
	return int(math.Ceil(share * float64(r.Domain)))
}

// GetTicks marks the powers of ten.
func (r *logRange) GetTicks(_ chart.Renderer, _ chart.Style, spell chart.ValueFormatter) []chart.Tick {
	var ticks []chart.Tick
	for value := r.Min; value <= r.Max*1.001; value *= 10 {
		ticks = append(ticks, chart.Tick{Value: value, Label: spell(value)})
	}
	return ticks
}
