package memory_test

import (
	"testing"

	"lockstitch/pkg/engine"
	"lockstitch/pkg/engine/enginetest"
	"lockstitch/pkg/engine/memory"
)

func TestState(t *testing.T) {
	enginetest.TestState(t, func(*testing.T) engine.State { return memory.NewState() })
}
