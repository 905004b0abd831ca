package ingest

import "sync/atomic"

// text is raw JSON that entries share: the ten metrics of a host have one copy of its tags.
type text struct {
	value string
	hash  uint64
	users atomic.Int64 // entries that have it; once 0, it stays so
}

// textOverhead is what a text takes beside its bytes.
const textOverhead = 40

func (t *text) size() int64 { return int64(textOverhead + len(t.value)) }

// acquire adds a user, unless the text has none any more.
func (t *text) acquire() bool {
	for {
		users := t.users.Load()
		if users == 0 {
			return false
		}
		if t.users.CompareAndSwap(users, users+1) {
			return true
		}
	}
}

// texts finds texts that are in use again, most of the time: a slot has the last one of those that fall there.
type texts struct {
	slots [1 << textBits]atomic.Pointer[text]
	bytes atomic.Int64 // of all texts that have users
}

const textBits = 12

func (t *texts) slot(hash uint64) *atomic.Pointer[text] { return &t.slots[hash>>(64-textBits)] }

// share returns the text of some bytes, whose hash is given, with the caller as a user.
func (t *texts) share(raw []byte, hash uint64) *text {
	slot := t.slot(hash)
	if known := slot.Load(); known != nil && known.hash == hash && known.value == string(raw) && known.acquire() {
		return known
	}
	made := &text{value: string(raw), hash: hash}
	made.users.Store(1)
	t.bytes.Add(made.size())
	slot.Store(made)
	return made
}

// release ends the use of a text.
func (t *texts) release(used *text) {
	if used.users.Add(-1) == 0 {
		t.bytes.Add(-used.size())
		t.slot(used.hash).CompareAndSwap(used, nil)
	}
}
