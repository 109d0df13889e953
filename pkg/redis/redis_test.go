package redis

import (
	"testing"

	"github.com/alicebob/miniredis/v2"

	"lockstitch/pkg/engine"
	"lockstitch/pkg/engine/enginetest"
)

// embedded opens a state on m with the options that a test changes.
func embedded(t testing.TB, m *miniredis.Miniredis, change func(*Options)) (*State, error) {
	t.Helper()
	o := Options{Addresses: []string{m.Addr()}, Prefix: "ls", Environment: "test", Embedded: true}
	if change != nil {
		change(&o)
	}
	return Open(t.Context(), o)
}

func open(t testing.TB, m *miniredis.Miniredis) *State {
	t.Helper()
	s, err := embedded(t, m, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestState(t *testing.T) {
	enginetest.TestState(t, func(t *testing.T) engine.State { return open(t, miniredis.RunT(t)) })
}
