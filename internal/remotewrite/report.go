package remotewrite

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/flopynet/collector/engine"
	"github.com/flopynet/collector/model"
)

// maxErrors bounds the refusals that a Report lists.
const maxErrors = 100

// Report says what became of a body. It belongs to the Decoder and is valid until its next Decode; the strings in
// it are copies.
type Report struct {
	Samples    int         // that are in the batch
	Rejected   int         // samples that were refused
	Histograms int         // native ones, all of which are refused
	Exemplars  int         // all of which are ignored
	Errors     []Rejection // the first 100 refusals

	refusals, limited int // all, and those for limits alone
}

// Rejection says why a series, one of its samples or a metric family's unit was refused.
type Rejection struct {
	Index  int    // of the series in the request, or of the metadata
	Name   string // of its metric; "": it has none
	Reason string
}

// Complete reports whether nothing was refused.
func (r *Report) Complete() bool { return r.refusals == 0 }

// OnlyLimits reports whether there are refusals and all of them are for exceeded limits.
func (r *Report) OnlyLimits() bool { return r.refusals > 0 && r.limited == r.refusals }

func (r *Report) reset() {
	clear(r.Errors)
	*r = Report{Errors: r.Errors[:0]}
}

// SyntaxError says where and why a body is not the protobuf message it should be.
type SyntaxError struct {
	Offset int // in bytes of the decompressed body, from 0
	Reason string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("invalid protobuf in the field at byte %d: %s", e.Offset, e.Reason)
}

// syntaxError makes an error of a fault in what is at this place of the body.
func (d *Decoder) syntaxError(at []byte, fault int) error {
	return &SyntaxError{Offset: cap(d.body) - cap(at), Reason: protowire.ParseError(fault).Error()}
}

// otherVersion is the error about a message of which there would be nothing but fields to skip, since they are those of
// the other version: nothing of it can be taken for stored.
func (d *Decoder) otherVersion(at []byte, name string) error {
	return &SyntaxError{Offset: cap(d.body) - cap(at), Reason: "it is one of " + name + ", which the Content-Type doesn't name"}
}

// isLimit reports whether an error is about a limit rather than about a fault.
func isLimit(err error) bool {
	_, isModel := errors.AsType[*model.LimitError](err)
	_, isEngine := errors.AsType[*engine.LimitError](err)
	return isModel || isEngine
}

// refuse notes a refusal.
func (r *Report) refuse(refusal Rejection, limit bool) {
	r.refusals++
	if limit {
		r.limited++
	}
	if len(r.Errors) < maxErrors {
		r.Errors = append(r.Errors, refusal)
	}
}

// rejectSeries refuses all samples of the series at hand.
func (d *Decoder) rejectSeries(labels []byte, err error) {
	d.report.Rejected += len(d.samples)
	d.report.refuse(Rejection{Index: d.index, Name: nameOf(labels), Reason: err.Error()}, isLimit(err))
}

// rejectHistograms refuses the native histograms of the series at hand.
func (d *Decoder) rejectHistograms(labels []byte) {
	d.report.Histograms += d.histograms
	reason := fmt.Sprintf("native histograms are not supported, this series has %d; have it scraped with classic buckets", d.histograms)
	d.report.refuse(Rejection{Index: d.index, Name: nameOf(labels), Reason: reason}, false)
}
