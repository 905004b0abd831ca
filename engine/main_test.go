package engine

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails when a goroutine outlives the stores that the tests closed.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
