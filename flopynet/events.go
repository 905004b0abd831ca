package flopynet

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/flopynet/collector/engine"
)

// What the events of all components have in common.
const (
	eventPage         = 500
	eventPages        = 20  // in one poll; the rest comes with the next
	maxPeerIDBytes    = 200 // of an event that the next page may begin behind
	maxMessageBytes   = 1000
	eventLevelWarning = "warning"
	eventLevelError   = "error"
)

// eventID is the ID of what a component told under an id of its own. What has none, or none that we can keep, is known by its
// content: it is the same each time it is told.
func eventID(component, id string, content []byte) string {
	full := component + "/" + id
	if id != "" && len(full) <= engine.MaxEventIDBytes && utf8.ValidString(full) && !strings.ContainsFunc(full, unicode.IsControl) {
		return full
	}
	sum := sha256.Sum256(content)
	return component + "/content_" + hex.EncodeToString(sum[:16])
}

// levelOf derives an event's level from its type.
func levelOf(kind string) string {
	kind = strings.ToUpper(kind)
	has := func(word string) bool { return strings.Contains(kind, word) }
	switch {
	case slices.ContainsFunc([]string{"ERROR", "FAIL", "EXCEPTION"}, has):
		return eventLevelError
	case slices.ContainsFunc([]string{"DENIED", "DENY", "VIOLATION", "STOPPED", "PAUSED", "WARN"}, has):
		return eventLevelWarning
	}
	return engine.DefaultEventLevel
}

// messageOf is what an event's details say in words.
func messageOf(details object) string {
	var told struct {
		Message text `json:"message"`
		Reason  text `json:"reason"`
	}
	_ = json.Unmarshal(details.orEmpty(), &told) // its fields never fail
	if told.Message == "" {
		told.Message = told.Reason
	}
	return clip(string(told.Message), maxMessageBytes)
}

// clip cuts a text to so many bytes at most, in whole characters.
func clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "")
}
