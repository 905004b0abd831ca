package model

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Tag is one key and value. An empty value means that the tag is absent, so it is never stored.
type Tag struct{ Key, Value string }

// Tags is sorted by key, without duplicate keys and without empty values. The source of a series is
// the tag SourceKey; the name of the metric is not a tag.
type Tags []Tag

// SourceKey is the tag that holds the source. NameKey is the key under which the metric's name is
// matched and indexed; no tag can have it, since tag keys are never empty.
const (
	SourceKey = "source"
	NameKey   = ""
)

// Limits of names and tags, in bytes and in tags a series (beside the source).
const (
	MaxNameBytes     = 256
	MaxTagKeyBytes   = 256
	MaxTagValueBytes = 1024
	MaxTags          = 64
)

// ErrBadEncoding is returned for bytes that are not the canonical encoding of what they should hold.
var ErrBadEncoding = errors.New("malformed encoding")

// Get returns the value of key, or "" when the tag is absent.
func (t Tags) Get(key string) string {
	if i, ok := slices.BinarySearchFunc(t, key, func(tag Tag, k string) int { return strings.Compare(tag.Key, k) }); ok {
		return t[i].Value
	}
	return ""
}

// Normalize sorts tags in place and drops those with an empty value. Of two tags with the same key
// the later one is kept, as with duplicate keys in JSON.
func Normalize(tags Tags) Tags {
	slices.SortStableFunc(tags, func(a, b Tag) int { return strings.Compare(a.Key, b.Key) })
	out := tags[:0]
	for i, tag := range tags {
		if i+1 < len(tags) && tags[i+1].Key == tag.Key {
			continue
		}
		if tag.Value != "" {
			out = append(out, tag)
		}
	}
	return out
}

// AppendIdentity appends the canonical bytes of a series' identity: the name, then each tag's key and
// value, every string preceded by its length as an unsigned varint. Equal identities have equal bytes.
func AppendIdentity(dst []byte, name string, tags Tags) []byte {
	return AppendTags(appendString(dst, name), tags)
}

// AppendTags appends what AppendIdentity appends behind the name.
func AppendTags(dst []byte, tags Tags) []byte {
	for _, tag := range tags {
		dst = appendString(dst, tag.Key)
		dst = appendString(dst, tag.Value)
	}
	return dst
}

func appendString(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

// DecodeIdentity is the inverse of AppendIdentity. It refuses, with ErrBadEncoding, whatever
// AppendIdentity would not have written: truncated strings, long varints, unsorted or duplicate keys,
// empty keys and empty values. The strings returned do not share memory with identity.
func DecodeIdentity(identity []byte) (name string, tags Tags, err error) {
	text := string(identity) // one copy; every string below is a part of it
	name, rest, err := cutString(text)
	if err != nil {
		return "", nil, err
	}
	var buffer [16]Tag // so that the tags of most series are allocated once
	tags = buffer[:0]
	for rest != "" {
		var tag Tag
		if tag.Key, rest, err = cutString(rest); err != nil {
			return "", nil, err
		}
		if tag.Value, rest, err = cutString(rest); err != nil {
			return "", nil, err
		}
		if tag.Key == "" || tag.Value == "" {
			return "", nil, fmt.Errorf("%w: empty tag key or value", ErrBadEncoding)
		}
		if n := len(tags); n > 0 && tags[n-1].Key >= tag.Key {
			return "", nil, fmt.Errorf("%w: tag keys %q and %q are not in order", ErrBadEncoding, tags[n-1].Key, tag.Key)
		}
		tags = append(tags, tag)
	}
	return name, append(Tags(nil), tags...), nil
}

// cutString reads a length-prefixed string off the front of text.
func cutString(text string) (s, rest string, err error) {
	var length uint64
	var shift uint
	for i := 0; ; i++ {
		if i == len(text) || i == 5 {
			return "", "", fmt.Errorf("%w: bad string length", ErrBadEncoding)
		}
		b := text[i]
		length |= uint64(b&0x7f) << shift
		shift += 7
		if b < 0x80 {
			if b == 0 && i > 0 {
				return "", "", fmt.Errorf("%w: string length is not minimal", ErrBadEncoding)
			}
			text = text[i+1:]
			break
		}
	}
	if length > uint64(len(text)) {
		return "", "", fmt.Errorf("%w: string of %d bytes is cut short at %d", ErrBadEncoding, length, len(text))
	}
	return text[:length], text[length:], nil
}
