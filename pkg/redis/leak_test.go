//go:build !e2e

package redis

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain sees that nothing goes on after Close. (Real parts keep a goroutine
// of their own for as long as the process lives.)
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
