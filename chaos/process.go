//go:build e2e

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

var quiet = slog.New(slog.DiscardHandler)

// starter starts commands. The kernel kills a child when the thread that started
// it ends; this one lives as long as the process.
var starter = sync.OnceValue(func() func(*exec.Cmd) error {
	type order struct {
		cmd     *exec.Cmd
		started chan error
	}
	orders := make(chan order)
	go func() {
		runtime.LockOSThread()
		for o := range orders {
			o.started <- o.cmd.Start()
		}
	}()
	return func(cmd *exec.Cmd) error {
		o := order{cmd, make(chan error)}
		orders <- o
		return <-o.started
	}
})

// slot is one `lockstitch run`, through all of its lives. One fault at a time
// touches it; others may look.
type slot struct {
	w      *world
	number int
	rules  int // how often its rules were changed

	mu   sync.Mutex
	life *life // nil: it isn't to run
	past figures
}

// life is one process.
type life struct {
	cmd  *exec.Cmd
	log  string
	gone chan struct{}
	seen figures // as /metrics said last

	address atomic.Pointer[string] // of /metrics, once it is known
}

func (s *slot) name() string { return fmt.Sprintf("process %d", s.number+1) }

// start starts it, with a log of its own.
func (s *slot) start() error {
	path, err := s.w.write(fmt.Sprintf("run-%d", s.number+1), s.w.proxies[s.number].Addr(), 5+s.rules%3)
	if err != nil {
		return err
	}
	l := &life{gone: make(chan struct{}), log: filepath.Join(s.w.dir, fmt.Sprintf("run-%d-%d.log", s.number+1, time.Since(began).Milliseconds()))}
	out, err := os.Create(l.log)
	if err != nil {
		return err
	}
	defer out.Close() // the child has a descriptor of its own
	l.cmd = exec.Command(s.w.binary, "run", "--config", path)
	l.cmd.Stdout, l.cmd.Stderr = out, out
	l.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := starter()(l.cmd); err != nil {
		return fmt.Errorf("starting %s: %w", s.name(), err)
	}
	s.mu.Lock()
	s.life = l
	s.mu.Unlock()
	go func() {
		_ = l.cmd.Wait() // how it ended is in its log
		close(l.gone)
		s.ended(l)
	}()
	return nil
}

// ended is told when a process is gone: it must have been to go.
func (s *slot) ended(l *life) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.past.add(l.seen)
	if s.life == l {
		s.life = nil
		s.w.wrong.add("%s ended by itself, %v, during: %s\n%s", s.name(), l.cmd.ProcessState, s.w.watch.during(), l.tail())
	}
}

// take takes the process out of the slot: from now on it may end.
func (s *slot) take() *life {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.life
	s.life = nil
	return l
}

func (s *slot) now() *life {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.life
}

// kill is SIGKILL; it returns when the process is gone.
func (s *slot) kill() {
	if l := s.take(); l != nil {
		l.signal(syscall.SIGKILL)
		<-l.gone
	}
}

// stop is SIGTERM. A run that doesn't end in time, or with another code than 0,
// is a violation.
func (s *slot) stop() {
	l := s.take()
	if l == nil {
		return
	}
	l.signal(syscall.SIGTERM)
	const patience = 20 * time.Second
	select {
	case <-l.gone:
		if code := l.cmd.ProcessState.ExitCode(); code != 0 {
			s.w.wrong.add("%s was asked to stop and ended with %d, during: %s\n%s", s.name(), code, s.w.watch.during(), l.tail())
		}
	case <-time.After(patience):
		l.signal(syscall.SIGKILL)
		<-l.gone
		s.w.wrong.add("%s was asked to stop and still ran after %v, during: %s\n%s", s.name(), patience, s.w.watch.during(), l.tail())
	}
}

// pause is SIGSTOP, for a while.
func (s *slot) pause(ctx context.Context, d time.Duration) {
	if l := s.now(); l != nil {
		l.signal(syscall.SIGSTOP)
		_ = wait(ctx, d) // the sooner it is over, the sooner it goes on
		l.signal(syscall.SIGCONT)
	}
}

func (l *life) signal(sig syscall.Signal) { _ = l.cmd.Process.Signal(sig) } // one that has ended hears nothing

func (l *life) tail() string {
	text, _ := os.ReadFile(l.log)
	return string(text[max(0, len(text)-3000):])
}

// listening is the address that the process logs when it serves metrics.
func (l *life) listening() string {
	if known := l.address.Load(); known != nil {
		return *known
	}
	text, _ := os.ReadFile(l.log)
	for line := range bytes.Lines(text) {
		var entry struct{ Address string }
		if json.Unmarshal(line, &entry) == nil && entry.Address != "" {
			l.address.Store(&entry.Address)
			return entry.Address
		}
	}
	return ""
}

// startAll starts the processes that are to run and don't.
func (w *world) startAll() error {
	for _, s := range w.slots[:w.opt.processes] {
		if s.now() == nil {
			if err := s.start(); err != nil {
				return err
			}
		}
	}
	return nil
}

// stopAll asks all to stop at once.
func (w *world) stopAll() {
	var all sync.WaitGroup
	for _, s := range w.slots {
		all.Go(s.stop)
	}
	all.Wait()
}
