package testbed

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
)

// digest mixes the seed with what is to be drawn, so that each draw depends on nothing that was drawn before.
func digest(seed uint64, about ...any) [32]byte {
	return sha256.Sum256([]byte(fmt.Sprintln(append([]any{seed}, about...)...)))
}

// random returns the random numbers about something.
func random(seed uint64, about ...any) *rand.Rand {
	sum := digest(seed, about...)
	return rand.New(rand.NewPCG(binary.LittleEndian.Uint64(sum[:8]), binary.LittleEndian.Uint64(sum[8:16])))
}

// uuid returns a random UUID (version 4) that follows from the seed.
func uuid(seed uint64, about ...any) string {
	sum := digest(seed, about...)
	sum[6] = sum[6]&0x0f | 0x40
	sum[8] = sum[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// between draws a number from low to high.
func between(r *rand.Rand, low, high float64) float64 { return low + (high-low)*r.Float64() }
