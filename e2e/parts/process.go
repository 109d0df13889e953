package parts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// every is how often a condition that is waited for is looked at.
const every = 20 * time.Millisecond

// process is one part's child process, through all of its lives: the same
// command again after each Kill or Stop.
type process struct {
	name string // as errors call it
	dir  string // its data, its log in name.log
	argv []string
	addr string // host:port where it answers

	ready func(context.Context) error // one try at a real request

	mu   sync.Mutex
	life *life // nil before the first start
}

// life is one run of the command.
type life struct {
	cmd  *exec.Cmd
	gone chan struct{} // closed when the process has ended and is reaped
}

func (l *life) over() bool {
	select {
	case <-l.gone:
		return true
	default:
		return false
	}
}

// starter gives the function that starts commands. The kernel sends a child its
// parent-death signal when the parent's *thread* ends, not its process, and the
// Go runtime ends threads as it likes. So one goroutine, which keeps its thread
// for as long as the process lives, starts every child.
var starter = sync.OnceValue(func() func(*exec.Cmd) error {
	commands, started := make(chan *exec.Cmd), make(chan error)
	go func() {
		runtime.LockOSThread()
		for cmd := range commands {
			started <- cmd.Start()
		}
	}()
	var one sync.Mutex
	return func(cmd *exec.Cmd) error {
		one.Lock()
		defer one.Unlock()
		commands <- cmd
		return <-started
	}
})

// begin runs cmd with its output appended to the file at log. The child has a
// process group of its own, so that a signal meets its children too (Redis
// rewrites its file in one), and dies with this process.
func begin(cmd *exec.Cmd, log string) (*life, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close() // the child has a descriptor of its own
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := starter()(cmd); err != nil {
		return nil, err
	}
	l := &life{cmd: cmd, gone: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(l.gone)
	}()
	return l, nil
}

func (p *process) log() string { return filepath.Join(p.dir, p.name+".log") }

// start runs the command and returns when it answers. What never answers is
// killed; the error then ends with the last lines of its log.
func (p *process) start(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.life != nil && !p.life.over() {
		return fmt.Errorf("%s at %s is running already", p.name, p.addr)
	}
	l, err := begin(exec.Command(p.argv[0], p.argv[1:]...), p.log())
	if err != nil {
		return fmt.Errorf("starting %s: %w", p.name, err)
	}
	p.life = l
	if err := p.answers(ctx, l); err != nil {
		p.signal(syscall.SIGKILL)
		<-l.gone
		return fmt.Errorf("%s at %s doesn't answer: %w; the end of %s:\n%s", p.name, p.addr, err, p.log(), tail(p.log()))
	}
	return nil
}

func (p *process) answers(ctx context.Context, l *life) error {
	var last error
	err := wait(ctx, func() (bool, error) {
		if l.over() {
			return false, fmt.Errorf("it ended by itself: %v", l.cmd.ProcessState)
		}
		last = p.ready(ctx)
		return last == nil, nil
	})
	if ctx.Err() != nil {
		return errors.Join(err, last)
	}
	return err
}

// wait returns when is says so: nil when it is true, its error, or ctx's.
func wait(ctx context.Context, is func() (bool, error)) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if ok, err := is(); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// Addr is where the part answers, host:port on the loopback address; the same
// in every life.
func (p *process) Addr() string { return p.addr }

// Dir is the folder that holds the part's data and log.
func (p *process) Dir() string { return p.dir }

// signal sends to the whole process group. A group that is gone already is no
// error: whoever signals it wants it gone or comes too late either way.
func (p *process) signal(sig syscall.Signal) {
	if p.life != nil && !p.life.over() {
		_ = syscall.Kill(-p.life.cmd.Process.Pid, sig)
	}
}

// Kill sends SIGKILL and returns when the process is gone; paused or not. What
// isn't running stays so.
func (p *process) Kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.life == nil {
		return
	}
	p.signal(syscall.SIGKILL)
	<-p.life.gone
}

// Close ends the part for good, the quick way. Its data stay.
func (p *process) Close() { p.Kill() }

// Stop asks the part to end (SIGTERM) and returns when it is gone; it is killed
// when ctx ends first, which is an error.
func (p *process) Stop(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.life == nil {
		return nil
	}
	p.signal(syscall.SIGTERM)
	p.signal(syscall.SIGCONT)
	select {
	case <-p.life.gone:
		return nil
	case <-ctx.Done():
		p.signal(syscall.SIGKILL)
		<-p.life.gone
		return fmt.Errorf("%s didn't stop and was killed: %w", p.name, context.Cause(ctx))
	}
}

// Restart starts the part again on the same port and data and returns when it
// answers. A part that still runs is stopped first.
func (p *process) Restart(ctx context.Context) error {
	if err := p.Stop(ctx); err != nil {
		return err
	}
	return p.start(ctx)
}

// Pause sends SIGSTOP and returns when every thread stands still.
func (p *process) Pause() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.life == nil || p.life.over() {
		return fmt.Errorf("%s isn't running", p.name)
	}
	p.signal(syscall.SIGSTOP)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return wait(ctx, func() (bool, error) { return still(p.life.cmd.Process.Pid) })
}

// Resume lets a paused part go on (SIGCONT).
func (p *process) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.signal(syscall.SIGCONT)
}

// still says whether the kernel has stopped each thread of a process.
func still(pid int) (bool, error) {
	stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(stats) == 0 {
		return false, errors.Join(err, fmt.Errorf("process %d is gone", pid))
	}
	for _, name := range stats {
		stat, err := os.ReadFile(name)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // that thread has ended
		}
		if err != nil {
			return false, err
		}
		// "pid (name) state …": a name may hold a parenthesis.
		_, state, _ := bytes.Cut(stat[max(0, bytes.LastIndexByte(stat, ')')):], []byte(" "))
		if !bytes.HasPrefix(state, []byte("T")) {
			return false, nil
		}
	}
	return true, nil
}

// tail is the end of a log, for an error.
func tail(name string) string {
	text, err := os.ReadFile(name)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-4096):])
}

// freeAddrs finds ports for a part, no two the same. They lie below the ports
// that the kernel deals to outgoing connections (from 32768): a client that
// dials a dead part again and again would sooner or later be dealt that very
// port, connect to itself, and keep the part from coming back.
func freeAddrs(n int) (addrs []string, err error) {
	for range 100 {
		if len(addrs) == n {
			return addrs, nil
		}
		var l net.Listener
		if l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(12000))); err == nil {
			defer l.Close() // kept until all are found, so that none is found twice
			addrs = append(addrs, l.Addr().String())
		}
	}
	return nil, fmt.Errorf("no free port on the loopback address: %w", err)
}
