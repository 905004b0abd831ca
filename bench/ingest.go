package bench

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	connections = 2

	// slabBytes bounds the encoded requests that a connection holds at a time.
	slabBytes = 96 << 20

	// maxLead is by how many requests a connection may be ahead of another: Prometheus refuses samples an hour
	// older than the newest, and a request is of 100 s.
	maxLead = 16
)

// ingested is what writing a load took.
type ingested struct {
	samples int
	bytes   int
	wall    time.Duration // while requests were under way
	cpu     time.Duration // of the server, from the first request to the last answer
	peak    int64         // bytes of the server's memory
}

// slab is some encoded requests of a connection.
type slab struct {
	bytes []byte
	ends  []int // of each request in bytes
	count []int // of its samples
}

// fill encodes as many of the blocks as fit and returns the rest.
func (s *slab) fill(e encoder, w *Workload, blocks []block) []block {
	s.bytes, s.ends, s.count = s.bytes[:0], s.ends[:0], s.count[:0]
	for len(blocks) > 0 && len(s.bytes) < slabBytes {
		s.bytes = e.appendBody(s.bytes, w, blocks[0])
		s.ends = append(s.ends, len(s.bytes))
		s.count = append(s.count, blocks[0].samples())
		blocks = blocks[1:]
	}
	return blocks
}

// body is the request of this number.
func (s *slab) body(number int) []byte {
	begin := 0
	if number > 0 {
		begin = s.ends[number-1]
	}
	return s.bytes[begin:s.ends[number]]
}

// sender is one connection with what it is to send.
type sender struct {
	client  *client
	encoder encoder
	blocks  []block // not yet encoded
	slab    slab
}

// ingest writes a workload in a closed loop on each connection. The clock stands still while slabs are encoded.
func (run *Run) ingest(ctx context.Context, s *server, w *Workload, l load) (done ingested, err error) {
	to, newEncoder := s.system.payload(l.encoding, w.Hosts)
	senders := make([]*sender, connections)
	for i, blocks := range w.blocks(connections) {
		senders[i] = &sender{client: newClient(s.address), encoder: newEncoder(), blocks: blocks}
		defer senders[i].client.close()
	}
	run.progress.begin(fmt.Sprintf("writing %s into %s", l.title(), s.system.Name()), w.Samples())
	defer run.progress.done()
	before, err := s.process.CPU()
	if err != nil {
		return done, err
	}
	for left := true; left; {
		var encoding sync.WaitGroup
		for _, sender := range senders {
			encoding.Go(func() { sender.blocks = sender.slab.fill(sender.encoder, w, sender.blocks) })
		}
		encoding.Wait()
		began := time.Now()
		if err := run.sendSlabs(ctx, to, senders); err != nil {
			return done, err
		}
		done.wall += time.Since(began)
		left = false
		for _, sender := range senders {
			left = left || len(sender.blocks) > 0
			done.bytes += len(sender.slab.bytes)
			for _, count := range sender.slab.count {
				done.samples += count
			}
		}
	}
	after, err := s.process.CPU()
	done.cpu = after - before
	if err != nil {
		return done, err
	}
	done.peak, err = s.process.PeakRSS()
	return done, err
}

// sendSlabs sends the slabs of all connections at once, none of them far ahead.
func (run *Run) sendSlabs(ctx context.Context, to post, senders []*sender) error {
	pace := newPace(len(senders))
	failures := make([]error, len(senders))
	var sending sync.WaitGroup
	for i, sender := range senders {
		sending.Go(func() {
			defer pace.finish(i)
			for number := range sender.slab.ends {
				pace.step(i)
				if failures[i] = ctx.Err(); failures[i] != nil {
					return
				}
				if err := sender.client.send(to, sender.slab.body(number)); err != nil {
					failures[i] = fmt.Errorf("request %d of connection %d: %w", number, i, err)
					return
				}
				if i == 0 {
					run.progress.add(len(senders) * sender.slab.count[number])
				}
			}
		})
	}
	sending.Wait()
	for _, err := range failures { // the others are mostly the same one
		if err != nil {
			return err
		}
	}
	return nil
}

// pace keeps connections close to each other.
type pace struct {
	mu    sync.Mutex
	moved *sync.Cond
	steps []int // of each connection; finished ones are far ahead
}

func newPace(connections int) *pace {
	p := &pace{steps: make([]int, connections)}
	p.moved = sync.NewCond(&p.mu)
	return p
}

// step waits until the connection may send its next request.
func (p *pace) step(connection int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.steps[connection] >= p.slowest()+maxLead {
		p.moved.Wait()
	}
	p.steps[connection]++
	p.moved.Broadcast()
}

// finish lets the others go on without this one.
func (p *pace) finish(connection int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.steps[connection] = 1 << 30
	p.moved.Broadcast()
}

func (p *pace) slowest() int {
	slowest := p.steps[0]
	for _, steps := range p.steps {
		slowest = min(slowest, steps)
	}
	return slowest
}
