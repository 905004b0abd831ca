package index

import (
	"bytes"
	"io"

	"github.com/cockroachdb/pebble/v2"
)

// MergerName is stored by Pebble, which refuses to open a store with a merger of another name. It
// changes with the format of the values.
const MergerName = "collector.union.v1"

// NewMerger returns the merge operation the store must be opened with: the union of the sets that are
// merged under the keys of postings and of identities. The order of operands does not matter, nor does
// it that one is merged twice.
//
// It never fails, since Pebble could neither read nor compact past the failure: an operand that can't be
// read is kept beside the union, where readers find and report it.
func NewMerger() *pebble.Merger {
	return &pebble.Merger{
		Name: MergerName,
		Merge: func(key, value []byte) (pebble.ValueMerger, error) {
			return &union{kind: kindOf(key), only: bytes.Clone(value)}, nil
		},
	}
}

// union is a pebble.ValueMerger. It takes operands apart only once there are two: Pebble asks for a
// merge also where there is but one, and for every key that a scan passes.
type union struct {
	kind   byte
	only   []byte // the one operand, until merged is used
	merged *mergeable
}

func (u *union) MergeNewer(value []byte) error {
	if u.merged == nil {
		u.merged = newMergeable(u.kind)
		u.merged.add(u.only)
	}
	u.merged.add(value)
	return nil
}

func (u *union) MergeOlder(value []byte) error { return u.MergeNewer(value) }

func (u *union) Finish(bool) ([]byte, io.Closer, error) {
	if u.merged == nil {
		return u.only, nil, nil
	}
	return u.merged.append(nil), nil, nil
}
