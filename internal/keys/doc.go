// Package keys says how everything in the key-value store is keyed: every prefix in one const block, and
// for each kind of key a function that appends it and one that parses it. All are pure functions on
// bytes. docs/format.md, section 5, is normative.
//
// Keys sort as their fields do: integers are big-endian, signed ones with the sign bit flipped, and
// strings are escaped and terminated so that no string's encoding is a prefix of another's.
package keys
