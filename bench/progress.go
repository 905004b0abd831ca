package bench

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
)

// progress tells a person how far a run is.
type progress struct {
	out io.Writer
	bar *progressbar.ProgressBar
}

// say writes a line.
func (p *progress) say(format string, arguments ...any) {
	p.done()
	fmt.Fprintf(p.out, format+"\n", arguments...)
}

// begin shows a bar for something of this length, where there is a terminal to draw it on, and else a line.
func (p *progress) begin(title string, length int) {
	p.done()
	file, isFile := p.out.(*os.File)
	if !isFile || !isTerminal(file) {
		fmt.Fprintln(p.out, title)
		return
	}
	p.bar = progressbar.NewOptions(length, progressbar.OptionSetWriter(p.out), progressbar.OptionSetDescription(title),
		progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(100*time.Millisecond))
}

// add says that this much more is done.
func (p *progress) add(amount int) {
	if p.bar != nil {
		_ = p.bar.Add(amount) // a picture that can't be drawn is no reason to end
	}
}

// done takes the bar away.
func (p *progress) done() {
	if p.bar != nil {
		_ = p.bar.Finish() // as above
		p.bar = nil
	}
}

func isTerminal(file *os.File) bool {
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
