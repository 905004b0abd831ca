package engine

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/flopynet/collector/compaction"
	"github.com/flopynet/collector/internal/keys"
	"github.com/flopynet/collector/model"
)

// expiry is what retention says at one moment. It is replaced, never changed.
type expiry struct {
	policy  RetentionPolicy
	expired *compaction.Expired // raw samples that were dropped for good
	changed int64               // when the policy was set; ns
}

// expiryState holds the expiry in force.
type expiryState struct {
	mu      sync.Mutex // held while it is replaced
	current atomic.Pointer[expiry]
}

func (s *expiryState) load() *expiry { return s.current.Load() }

// replace puts what change makes of the expiry in force in its place.
func (s *expiryState) replace(change func(expiry) expiry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := change(*s.current.Load())
	s.current.Store(&next)
}

// floors are the times before which nothing of a series is visible.
type floors struct {
	tiers   [model.Tiers]int64
	through int64 // before it, raw samples are gone, not only hidden
}

// uniform reports whether all series are treated alike.
func (e *expiry) uniform() bool { return len(e.policy.Rules) == 0 && e.expired.Uniform() }

// hides reports whether retention hides anything from the time on, of any class.
func (e *expiry) hides(from, now int64) bool {
	for class := range e.policy.Classes() {
		if e.policy.Floor(class, model.TierRaw, now) > from {
			return true
		}
	}
	return !e.expired.Uniform() || e.expired.Through("", "") > from
}

// floors returns those of a class of which raw samples before through were dropped.
func (e *expiry) floors(class int, through, now int64) floors {
	f := floors{through: through}
	for tier := range model.Tier(model.Tiers) {
		f.tiers[tier] = e.policy.Floor(class, tier, now)
	}
	f.tiers[model.TierRaw] = max(f.tiers[model.TierRaw], through)
	return f
}

// RetentionClass is what decides about the floors of a series; see DB.CheckTime. The zero value is of no
// class, and refuses nothing on account of its age.
type RetentionClass struct {
	class   int           // of the policy
	raw     time.Duration // how long raw samples are kept
	through int64         // those before it were dropped; ns
}

func (e *expiry) classOf(name, source string) RetentionClass {
	class := e.policy.ClassOf(name, source)
	return RetentionClass{class: class, raw: e.policy.Of(class).Raw, through: e.expired.Through(name, source)}
}

// classify finds out the floors of the series found.
func (db *DB) classify(f *found) error {
	e, now := db.expiry.load(), db.opts.Now().UnixNano()
	if e.uniform() {
		f.floors = []floors{e.floors(0, e.expired.Through("", ""), now)}
		return nil
	}
	series, err := db.describe(f.ids)
	if err != nil {
		return err
	}
	numbers := make(map[RetentionClass]int)
	f.classes = make([]int, len(series))
	for i := range series {
		class := e.classOf(series[i].Name, series[i].Source())
		number, known := numbers[class]
		if !known {
			number = len(f.floors)
			numbers[class] = number
			f.floors = append(f.floors, e.floors(class.class, class.through, now))
		}
		f.classes[i] = number
	}
	if len(f.floors) == 0 {
		f.floors = []floors{{}}
	}
	return nil
}

// expiredThrough returns the time before which some of the series found have no raw samples.
func (f *found) expiredThrough() int64 {
	through := model.MinTime
	for _, floors := range f.floors {
		through = max(through, floors.tiers[model.TierRaw])
	}
	return through
}

// loadExpired reads what was dropped for good.
func (db *DB) loadExpired() error {
	expired := &compaction.Expired{}
	value, closer, err := db.chunks.Get(keys.AppendMeta(nil, keys.MetaExpired))
	if err == nil {
		expired, err = compaction.ParseExpired(value)
		err = errors.Join(err, closer.Close())
	} else if errors.Is(err, pebble.ErrNotFound) {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("load what has expired: %w", err)
	}
	db.expiry.current.Store(&expiry{policy: db.opts.Retention, expired: expired, changed: db.opts.Now().UnixNano()})
	return nil
}

// SetRetention replaces the retention policy. A shorter one hides at once what it no longer keeps; its
// disk space comes back after Options.RetentionGrace, and until then setting the policy back loses nothing.
func (db *DB) SetRetention(policy RetentionPolicy) error {
	if err := policy.Validate(); err != nil {
		return err
	}
	now := db.opts.Now().UnixNano()
	db.expiry.replace(func(e expiry) expiry {
		e.policy, e.changed = policy, now
		return e
	})
	db.epoch.Add(1) // callers that cache series have to ask for their retention again
	db.results.clear()
	return nil
}

// Retention returns the retention policy in force.
func (db *DB) Retention() RetentionPolicy { return db.expiry.load().policy }
