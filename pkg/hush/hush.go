// Package hush keeps logs short: what fails many times a second is said once in a
// while, with how often it wasn't.
package hush

import (
	"sync"
	"time"
)

// Quiet is for how long the same isn't said again.
const Quiet = 10 * time.Second

// Log decides what is said, by kind. The zero value is ready; it may be used
// concurrently. Kinds are few: each is remembered for good.
type Log[K comparable] struct {
	mu   sync.Mutex
	said map[K]*once
}

type once struct {
	until   time.Time
	skipped int
}

// Say reports whether something of this kind is to be said now, and how many like
// it were not since the last that was.
func (l *Log[K]) Say(kind K, now time.Time) (skipped int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := l.said[kind]
	if last != nil && now.Before(last.until) {
		last.skipped++
		return 0, false
	}
	if last != nil {
		skipped = last.skipped
	}
	if l.said == nil {
		l.said = map[K]*once{}
	}
	l.said[kind] = &once{until: now.Add(Quiet)}
	return skipped, true
}
