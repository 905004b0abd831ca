package flopynet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// How the table of rounds is read.
const (
	roundsPath   = "/rounds"
	roundPage    = 500             // rows of a page when there may be many
	tailPage     = 10              // when one or two are to be expected
	tailAgain    = 2               // newest rows that are read once more, since a row may change
	pagesPerPoll = 20              // the rest comes with the next poll
	rereadAfter  = 5 * time.Minute // the whole table, while rows of it are left out
)

// roundSync keeps our rounds in step with the FL server's table.
type roundSync struct {
	peer     *peer
	recorder *recorder
	rounds   *flRounds
	logger   *slog.Logger

	// The whole table is read when it is not known how much of it we have: at the start, since the last reading of it may have been
	// cut off by a crash, and when rows were replaced.
	whole bool
	next  int     // number of the row to go on with
	from  *placer // what the pages before have found

	end     int       // see placer
	leftOut []error   // rows that can't be read, in this poll
	again   time.Time // when the whole table is read again, for rows were left out; zero: it needn't be
}

func newRoundSync(p *peer, r *recorder, rounds *flRounds, logger *slog.Logger) roundSync {
	return roundSync{peer: p, recorder: r, rounds: rounds, logger: logger, whole: true}
}

// roundPageAnswer is the answer to GET /rounds.
type roundPageAnswer struct {
	Rounds *list[object] `json:"rounds"`
}

// poll reads what is new. current is the round that the server is said to be in, 0 if that isn't known. Rows that can't be
// read are left out, and tried again: the error tells of them.
func (s *roundSync) poll(ctx context.Context, current int) error {
	if err := s.rounds.readable(); err != nil {
		return err
	}
	s.leftOut = nil
	now := s.peer.now()
	if !s.again.IsZero() && !now.Before(s.again) {
		s.whole, s.again = true, time.Time{}
	}
	err := s.read(ctx, current)
	if len(s.leftOut) == 0 {
		return err
	}
	if s.again.IsZero() {
		s.again = now.Add(rereadAfter)
	}
	return errors.Join(err, fmt.Errorf("GET %s: %d rows are left out, the first since %w", roundsPath, len(s.leftOut), s.leftOut[0]))
}

// read reads what is new, into our rounds.
func (s *roundSync) read(ctx context.Context, current int) error {
	newest, known := s.rounds.newest()
	if known && !s.whole {
		replaced, err := s.isReplaced(ctx, newest, current)
		if err != nil {
			return err
		}
		s.whole = replaced
	}
	if known && !s.whole {
		err := s.readTail(ctx, newest)
		if !errors.Is(err, errReplaced) {
			return err
		}
		s.whole = true
	}
	s.whole = true
	return s.readWhole(ctx)
}

// isReplaced looks for rows which a training has replaced that we haven't heard of: the first, and those that the server is
// at now, if that is before our newest.
func (s *roundSync) isReplaced(ctx context.Context, newest training, current int) (bool, error) {
	probes := []struct{ start, limit int }{{1, 1}}
	if current > 1 && current < newest.Last {
		probes = append(probes, struct{ start, limit int }{current - 1, 2})
	}
	trainings := s.rounds.list()
	for _, probe := range probes {
		rows, _, err := s.page(ctx, probe.start, probe.limit)
		if err != nil {
			return false, err
		}
		for _, r := range rows {
			if have, err := s.rounds.find(trainings, r.number, r.time); have == nil || err != nil {
				return err == nil, err
			}
		}
	}
	return false, nil
}

// readTail reads from the newest rows that we have on.
func (s *roundSync) readTail(ctx context.Context, newest training) error {
	p := newPlacer(s.rounds, false, s.end)
	start, limit := max(1, newest.Last-tailAgain+1), tailPage
	for range pagesPerPoll {
		rows, full, err := s.page(ctx, start, limit)
		if err != nil {
			return err
		}
		fresh, err := s.take(p, rows)
		if err != nil {
			return err
		}
		if !full || len(rows) == 0 {
			s.noteEnd(rows)
			return nil
		}
		if !fresh || rows[len(rows)-1].number < start {
			return nil // what follows is of older trainings, or the server doesn't heed start_round
		}
		start, limit = rows[len(rows)-1].number+1, roundPage
	}
	return nil
}

// readWhole reads the whole table, as far as pagesPerPoll go; the next poll goes on. After an error it begins anew.
func (s *roundSync) readWhole(ctx context.Context) error {
	if s.from == nil {
		s.from, s.next = newPlacer(s.rounds, true, s.end), 1
	}
	for range pagesPerPoll {
		rows, full, err := s.page(ctx, s.next, roundPage)
		if err == nil {
			_, err = s.take(s.from, rows)
		}
		if err != nil {
			s.from = nil
			return err
		}
		if !full || len(rows) == 0 || rows[len(rows)-1].number < s.next {
			s.whole, s.from = false, nil
			s.noteEnd(rows)
			return nil
		}
		s.next = rows[len(rows)-1].number + 1
	}
	return nil
}

// noteEnd notes where the table ends, of which these are the last rows.
func (s *roundSync) noteEnd(rows []*round) {
	if len(rows) > 0 {
		s.end = rows[len(rows)-1].number
	}
}

// page reads rows from a number on, by their numbers. full says that there may be more.
func (s *roundSync) page(ctx context.Context, start, limit int) (rows []*round, full bool, err error) {
	var answer roundPageAnswer
	asked, err := s.peer.page(ctx, roundsPath, url.Values{"start_round": {strconv.Itoa(start)}}, limit, &answer)
	if err != nil {
		return nil, false, err
	}
	if answer.Rounds == nil {
		return nil, false, fmt.Errorf("GET %s: its answer has no rounds", roundsPath)
	}
	for _, raw := range *answer.Rounds {
		r, err := readRound(raw)
		if err != nil {
			s.leftOut = append(s.leftOut, err)
			continue
		}
		rows = append(rows, r)
	}
	slices.SortStableFunc(rows, func(a, b *round) int { return cmp.Compare(a.number, b.number) })
	rows = slices.CompactFunc(rows, func(a, b *round) bool { return a.number == b.number })
	return rows, len(*answer.Rounds) >= asked, nil
}

// take stores the rows that are new or have changed, in the order in which a crash does no harm: first their samples, which
// may be written again, then the rows. fresh says that the last one was new.
func (s *roundSync) take(p *placer, rows []*round) (fresh bool, err error) {
	var added, changed []*round
	var points []point
	for _, r := range rows {
		isNew, isChanged, err := p.place(r)
		if err != nil {
			return false, err
		}
		if fresh = isNew; isNew {
			added = append(added, r)
		} else if isChanged {
			changed = append(changed, r)
		}
		if isNew || isChanged {
			points = append(points, r.points()...)
		}
	}
	if len(points) == 0 {
		return fresh, nil
	}
	if err := s.recorder.samples(points); err != nil {
		if _, refused := errors.AsType[*refusal](err); !refused {
			return false, err
		}
		s.logger.Warn("samples of rounds can't be stored", "peer", s.peer.name, "error", err)
	}
	if err := s.rounds.store(added, changed); err != nil {
		return false, fmt.Errorf("storing %d rounds: %w", len(added)+len(changed), err)
	}
	return fresh, nil
}
