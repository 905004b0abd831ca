package flopynet

import (
	"bytes"
	"errors"
	"math"
	"slices"
)

// The FL server has one row for each number of a round: a second training replaces, from round 1 on, the rows of the first.
// So what the table has of several trainings are stretches, of which the lowest numbers belong to the newest training; where one
// ends, the time falls to before its first round. Within a training times grow with the numbers, unless the server's clock is set
// back. A round is known by its number and its time: a row of a known number with another time is another training's round.

// errReplaced says that a row can't be placed by the few rows that were read, because a training has begun that replaces rows:
// the table must be read from its first row on.
var errReplaced = errors.New("rows of the table of rounds were replaced")

// placer finds for rows, which it is given by their numbers, the trainings they belong to. It knows those that it has found in
// the same batch before they are stored.
type placer struct {
	rounds *flRounds
	list   []training // with those of this pass
	whole  bool       // the rows are the whole table's, from its first one on
	end    int        // number of the table's last row when it was last read to its end; 0: not known
	last   *round     // the row before
	isOld  bool       // which we had
}

func newPlacer(rounds *flRounds, whole bool, end int) *placer {
	return &placer{rounds: rounds, list: rounds.list(), whole: whole, end: end}
}

// place sets the row's training. isNew says that we don't have the round, isChanged that its row has become another one.
func (p *placer) place(r *round) (isNew, isChanged bool, err error) {
	known, err := p.rounds.find(p.list, r.number, r.time)
	if err != nil {
		return false, false, err
	}
	if err := r.shrink(); err != nil {
		return false, false, err
	}
	if known != nil {
		r.training, p.last, p.isOld = known.training, r, true
		return false, !bytes.Equal(known.raw, r.raw), nil
	}
	if r.training, err = p.trainingOf(r); err != nil {
		return false, false, err
	}
	at, found := slices.BinarySearchFunc(p.list, r.training, compareOrdinal)
	if !found {
		p.list = slices.Insert(p.list, at, training{Ordinal: r.training})
	}
	p.list[at].add(r)
	p.last, p.isOld = r, false
	return true, false, nil
}

// trainingOf decides about a round that we don't have.
func (p *placer) trainingOf(r *round) (int64, error) {
	before := p.last
	goesOn := before != nil && (r.time >= p.begin(before.training) || p.isOld && before.number == p.end) // what comes behind the end is new
	if goesOn {
		free, err := p.isFree(before.training, r.number)
		if free || err != nil {
			return before.training, err
		}
	}
	switch {
	case !p.whole:
		return 0, errReplaced
	case before != nil && !goesOn:
		return p.older(before.training, r), nil
	case before == nil && len(p.list) > 0:
		if newest := &p.list[len(p.list)-1]; p.continues(newest, r) {
			return newest.Ordinal, nil // the table has lost the rows before
		}
	}
	return p.nextOrdinal(), nil
}

// begin is the time of a training's first round.
func (p *placer) begin(ordinal int64) int64 {
	at, found := slices.BinarySearchFunc(p.list, ordinal, compareOrdinal)
	if !found {
		return math.MaxInt64
	}
	return p.list[at].FirstTime
}

// isFree reports whether we have no round of this number of a training.
func (p *placer) isFree(ordinal int64, number int) (bool, error) {
	at, found := slices.BinarySearchFunc(p.list, ordinal, compareOrdinal)
	if !found || number > p.list[at].Last {
		return true, nil
	}
	r, err := p.rounds.get(ordinal, number)
	return r == nil, err
}

// continues reports whether a round may be a later one of a training.
func (p *placer) continues(t *training, r *round) bool {
	return r.number > t.Last && r.time >= t.LastTime
}

// older returns the training of a round that is older than the one that replaced the rows before it: the next older one, if
// the round continues it, else one that we haven't met.
func (p *placer) older(newer int64, r *round) int64 {
	at, _ := slices.BinarySearchFunc(p.list, newer, compareOrdinal)
	var floor int64
	if at > 0 {
		if below := &p.list[at-1]; p.continues(below, r) {
			return below.Ordinal
		}
		floor = p.list[at-1].Ordinal
	}
	if newer-1 > floor {
		return newer - 1
	}
	return p.nextOrdinal() // no room is left, after hundreds that were found late
}

func (p *placer) nextOrdinal() int64 {
	if len(p.list) == 0 {
		return ordinalStride
	}
	return p.list[len(p.list)-1].Ordinal + ordinalStride
}
