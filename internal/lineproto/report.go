package lineproto

import (
	"errors"
	"strconv"
	"strings"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// maxErrors bounds what a Report lists.
const maxErrors = 100

// Report says what became of a body. It belongs to the Decoder and is valid until its next Decode; the strings in
// it are copies.
type Report struct {
	Accepted       int         // samples that are in the batch
	RejectedLines  int         // that were refused as a whole
	RejectedFields int         // that were refused, of other lines
	Errors         []Rejection // the first 100 refusals

	limited int // refusals for limits alone
}

// Rejection says why a line, or a field of it, was refused.
type Rejection struct {
	Line   int    // from 1
	Field  string // "": the line as a whole
	Reason string
}

// Rejected is how many refusals there are.
func (r *Report) Rejected() int { return r.RejectedLines + r.RejectedFields }

// OnlyLimits reports whether there are refusals and all of them are for exceeded limits.
func (r *Report) OnlyLimits() bool { return r.limited > 0 && r.limited == r.Rejected() }

func (r *Report) reset() {
	clear(r.Errors)
	*r = Report{Errors: r.Errors[:0]}
}

// isLimit reports whether an error is about a limit rather than about a fault.
func isLimit(err error) bool {
	_, isModel := errors.AsType[*model.LimitError](err)
	_, isEngine := errors.AsType[*engine.LimitError](err)
	return isModel || isEngine
}

// isRange reports whether a number was refused for its size.
func isRange(err error) bool { return errors.Is(err, strconv.ErrRange) }

// faultOf is the fault that an error about a series or a time stands for.
func (d *Decoder) faultOf(err error) *fault {
	if len(d.report.Errors) >= maxErrors {
		return &fault{limit: isLimit(err)}
	}
	return &fault{reason: err.Error(), limit: isLimit(err)}
}

// maxShownBytes bounds what of a client's text is shown.
const maxShownBytes = 60

// clip quotes what a client gave, shortened, for a message.
func clip(text []byte) string {
	if len(text) <= maxShownBytes {
		return strconv.Quote(string(text))
	}
	return strconv.Quote(strings.ToValidUTF8(string(text[:maxShownBytes]), "")) + "..."
}

// clipText shortens what a client gave and makes it valid.
func clipText(text string) string {
	if len(text) > 2*maxShownBytes {
		text = strings.ToValidUTF8(text[:2*maxShownBytes], "") + "..."
	}
	return strings.ToValidUTF8(text, "\ufffd")
}
