package export

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/flopynet/collector/model"
)

// encodersAtOnce is how many batches of an export are prepared at a time, while the next is read from the store.
const encodersAtOnce = 2

// encoder spells batches of rows.
type encoder interface {
	// size is that of its batches.
	size() size
	// begin writes what comes before the rows.
	begin() error
	// prepare does what can be done for a batch without the others: several are prepared at once.
	prepare(b *batch) error
	// write writes a batch that was prepared; batches come in order, one at a time.
	write(b *batch) error
	// close writes what is left, and the end.
	close() error
}

// flow brings batches from the scan to the encoder: the scan fills one, workers prepare others, and the workers
// take turns in writing. There is a fixed number of batches, so a slow writer holds up the scan.
type flow struct {
	encoder  encoder
	progress *Progress
	gather   gatherer

	ctx    context.Context // ends with the first failure, which is its cause
	cancel context.CancelCauseFunc

	free    chan *batch
	work    chan *batch
	workers sync.WaitGroup

	current *batch
	last    <-chan struct{} // closed once the batch before current is written
	rows    int64           // written; belongs to who has the turn
}

// newFlow starts the workers, who end with end.
func newFlow(ctx context.Context, p *Plan, e encoder, progress *Progress) *flow {
	f := &flow{
		encoder: e, progress: progress, gather: gatherer{texts: p.texts(), small: p.small, size: e.size()},
		free: make(chan *batch, encodersAtOnce+1), work: make(chan *batch),
	}
	f.ctx, f.cancel = context.WithCancelCause(ctx)
	for range cap(f.free) {
		f.free <- &batch{}
	}
	none := make(chan struct{})
	close(none)
	f.last = none
	if err := guard(e.begin); err != nil {
		f.cancel(err)
	}
	for range encodersAtOnce {
		f.workers.Go(f.run)
	}
	return f
}

// add takes a block of rows of a series.
func (f *flow) add(s *model.Series, times []int64, values []float64) error {
	for {
		if f.current == nil {
			select {
			case f.current = <-f.free:
			case <-f.ctx.Done():
				return context.Cause(f.ctx)
			}
		}
		n := f.gather.add(f.current, s, times, values)
		times, values = times[n:], values[n:]
		if len(times) == 0 {
			return nil
		}
		f.send()
	}
}

// send sends the current batch on its way.
func (f *flow) send() {
	b := f.current
	f.current = nil
	f.gather.finish(b)
	b.before, b.written = f.last, make(chan struct{})
	f.last = b.written
	f.work <- b // a worker is free or will be: none waits for what comes after its own batch
}

// run prepares and writes batches.
func (f *flow) run() {
	for b := range f.work {
		if f.ctx.Err() == nil {
			if err := guard(func() error { return f.encoder.prepare(b) }); err != nil {
				f.cancel(err)
			}
		}
		<-b.before
		if f.ctx.Err() == nil {
			f.write(b)
		}
		close(b.written)
		b.reset()
		f.free <- b
	}
}

// write writes a batch, whose turn it is.
func (f *flow) write(b *batch) {
	if err := guard(func() error { return f.encoder.write(b) }); err != nil {
		f.cancel(err)
		return
	}
	f.rows += int64(len(b.times))
	f.progress.Rows.Store(f.rows)
	if b.series > 0 {
		f.progress.Series.Store(b.series)
	}
}

// end waits until all that was added is written, and writes the end. It is given the error of the scan, and
// returns the first error that there was.
func (f *flow) end(scanned error) (rows int64, err error) {
	if f.current != nil && len(f.current.times) > 0 && scanned == nil {
		f.send()
	}
	close(f.work)
	f.workers.Wait()
	defer f.cancel(nil)
	if f.ctx.Err() != nil {
		return f.rows, context.Cause(f.ctx)
	}
	if scanned != nil {
		return f.rows, scanned
	}
	return f.rows, guard(f.encoder.close)
}

// guard turns a panic into an error: the libraries for Parquet and Arrow panic at times.
func guard(do func() error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("an encoder panicked: %v", cause)
		}
	}()
	return do()
}

func (p *Plan) newEncoder(w io.Writer) (encoder, error) {
	switch p.Format {
	case CSV:
		return newCSV(p, w), nil
	case JSON, NDJSON:
		return newJSON(p, w), nil
	case Parquet:
		return newParquet(p, w)
	case Arrow:
		return newArrow(p, w), nil
	}
	return nil, fmt.Errorf("there is no export format %q", p.Format)
}
