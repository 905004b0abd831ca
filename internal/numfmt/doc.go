// Package numfmt spells float64s as the HTTP API and the exports do: the shortest text that reads back as the
// same bits, in the form of encoding/json.
//
// Most metrics are whole numbers or have a few decimals, and are spelt without a search for the shortest text:
// it is enough to see that a decimal of 15 digits at most is the value. Others of an ordinary size take the
// algorithm of Schubfach (R. Giulietti, "The Schubfach way to render doubles", 2020), which is exact here in
// integers of 128 bits. What is left goes to strconv.
package numfmt
