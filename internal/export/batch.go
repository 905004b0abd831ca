package export

import (
	"slices"

	"github.com/flopynet/collector/model"
)

// batch is a part of an export on its way: rows as columns, in runs of a series each.
type batch struct {
	times  []int64
	values []float64
	runs   []run
	series int64 // those that are done before it

	numbers      []int32       // of the columns of text, run by run; -1: no value
	dictionaries []*dictionary // of the columns of text; final once ends is set
	ends         bool          // it is the last of its dictionaries

	// The encoder's own.
	text    []byte // what it made of the rows
	row     rowText
	pages   []parquetPage
	packed  []byte
	scratch []int32

	before  <-chan struct{} // closed once what comes before it is written
	written chan struct{}   // closed once it is written, or never will be
}

// run is rows of a series.
type run struct {
	series model.Series // for text
	rows   int
}

// dictionary has the texts of a column.
type dictionary struct {
	numbers map[string]int32
	texts   []string
	missing bool // some rows have none
}

func newDictionary() *dictionary { return &dictionary{numbers: make(map[string]int32)} }

// number returns the number of a text, "" being none, and by how many bytes the dictionary grew.
func (d *dictionary) number(text string) (number int32, grown int) {
	if text == "" {
		d.missing = true
		return -1, 0
	}
	number, known := d.numbers[text]
	if !known {
		number = int32(len(d.texts))
		d.numbers[text] = number
		d.texts = append(d.texts, text)
		grown = len(text) + 64
	}
	return number, grown
}

func (b *batch) reset() {
	clear(b.runs)
	*b = batch{times: b.times[:0], values: b.values[:0], runs: b.runs[:0], numbers: b.numbers[:0], text: b.text[:0], row: b.row, scratch: b.scratch, packed: b.packed}
}

// size says when a batch is full, and when its dictionaries are. Zero is no bound.
type size struct {
	rows      int // of a batch
	textBytes int // of a batch as text, about
	groupRows int // of all batches of the same dictionaries; zero: there are no dictionaries

	rowBytes func(*model.Series) int // of a row as text, about
}

// maxDictionaryBytes bounds what dictionaries, and the numbers of runs, hold of tags.
const maxDictionaryBytes = 8 << 20

// gatherer fills batches.
type gatherer struct {
	texts []column
	small []bool // of them, those whose dictionaries have small numbers
	size  size

	series   model.SeriesID // of the last run
	seen     int64          // series so far
	rowBytes int            // of a row of the last run, about

	dictionaries []*dictionary
	groupRows    int
	overhead     int // bytes of the dictionaries and numbers
}

// add takes rows of a series, as many as there is room for, and returns how many these are. Each run has a row
// at least: encoders rely on it.
func (g *gatherer) add(b *batch, s *model.Series, times []int64, values []float64) int {
	begins := len(b.runs) == 0 || s.ID != g.series
	if begins && (g.overhead > maxDictionaryBytes || g.fullDictionary()) {
		return 0
	}
	if begins && g.size.rowBytes != nil {
		g.rowBytes = g.size.rowBytes(s)
	}
	n := min(len(times), g.size.rows-len(b.times))
	if g.size.groupRows > 0 {
		n = min(n, g.size.groupRows-g.groupRows)
	}
	if g.size.textBytes > 0 {
		n = min(n, max(g.size.textBytes/g.rowBytes-len(b.times), 0))
		if len(b.times) == 0 {
			n = max(n, min(len(times), 1))
		}
	}
	if n == 0 {
		return 0
	}
	if begins {
		g.begin(b, s)
	}
	if len(b.times) > 0 && cap(b.times) < len(b.times)+n { // not the first block: there are many rows
		b.times, b.values = slices.Grow(b.times, g.size.rows-len(b.times)), slices.Grow(b.values, g.size.rows-len(b.values))
	}
	b.times, b.values = append(b.times, times[:n]...), append(b.values, values[:n]...)
	b.runs[len(b.runs)-1].rows += n
	g.groupRows += n
	return n
}

// begin begins a run.
func (g *gatherer) begin(b *batch, s *model.Series) {
	if s.ID != g.series {
		g.series = s.ID
		b.series = g.seen
		g.seen++
	}
	if g.size.groupRows == 0 {
		b.runs = append(b.runs, run{series: *s})
		return
	}
	if g.dictionaries == nil {
		g.dictionaries = make([]*dictionary, len(g.texts))
		for i := range g.dictionaries {
			g.dictionaries[i] = newDictionary()
		}
	}
	b.runs = append(b.runs, run{})
	b.dictionaries = g.dictionaries
	for i, column := range g.texts {
		number, grown := g.dictionaries[i].number(column.of(s))
		b.numbers = append(b.numbers, number)
		g.overhead += grown + 4
	}
}

// fullDictionary reports whether a column that has small numbers has no more of them.
func (g *gatherer) fullDictionary() bool {
	for i, d := range g.dictionaries {
		if g.small[i] && len(d.texts) >= maxSmall {
			return true
		}
	}
	return false
}

// finish tells whether a batch, which is about to go on its way, is the last of its dictionaries.
func (g *gatherer) finish(b *batch) {
	if g.size.groupRows == 0 {
		return
	}
	if g.groupRows >= g.size.groupRows || g.overhead > maxDictionaryBytes || g.fullDictionary() {
		b.ends = true
		g.dictionaries, g.groupRows, g.overhead = nil, 0, 0
	}
}

// numbersOf returns the numbers of a column of text, a run each.
func (b *batch) numbersOf(dst []int32, column int) []int32 {
	dst = slices.Grow(dst[:0], len(b.runs))
	for i := column; i < len(b.numbers); i += len(b.dictionaries) {
		dst = append(dst, b.numbers[i])
	}
	return dst
}
