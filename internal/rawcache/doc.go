// Package rawcache finds what is known of a series, or of a line of several, by the raw bytes in which a client
// wrote it, so that names and tags need not be taken apart again.
//
// What comes next is guessed from what came next the last time. Whoever asks compares bytes anyway, so a guess
// that has become wrong costs one comparison, and one that is right saves hashing.
package rawcache
