package engine

import (
	"errors"
	"fmt"
	"time"
)

// Errors that callers tell apart with errors.Is. The text of an error says what to do about it.
var (
	ErrClosed   = errors.New("the store is closed")
	ErrLocked   = errors.New("the data directory is in use by another process")
	ErrBusy     = errors.New("too many samples are waiting to be written; retry shortly")
	ErrDiskFull = errors.New("the disk is nearly full; writes are refused until there is room again")
	ErrBehind   = errors.New("samples are written faster than they can be flushed; retry shortly")
	ErrFailed   = errors.New("the write-ahead log failed; writes are refused until the collector is restarted")
	ErrCorrupt  = errors.New("stored data is damaged")

	ErrSnapshotExists = errors.New("there is a snapshot of that name already")
	ErrNoSnapshot     = errors.New("there is no snapshot of that name")
	ErrSnapshotName   = errors.New("the name of a snapshot must be 1 to 64 letters, digits, dots, underscores and dashes, and not begin with a dot")

	// ErrStaleSeries asks the writer to resolve the batch's series once more.
	ErrStaleSeries = errors.New("series of the batch were dropped since they were resolved")
)

// TimeError says why a sample's time is refused.
type TimeError struct {
	Time   int64 // nanoseconds since the epoch
	Reason string
}

func (e *TimeError) Error() string {
	return fmt.Sprintf("timestamp %s %s", time.Unix(0, e.Time).UTC().Format(time.RFC3339Nano), e.Reason)
}

// LimitError says that a request needs more of something than a configured limit allows.
type LimitError struct {
	Limit  string // the option's name
	Max    int64
	Advice string
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("the limit %s = %d is exceeded; %s", e.Limit, e.Max, e.Advice)
}
