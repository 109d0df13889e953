//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process is one running lockstitch command.
type process struct {
	t    *testing.T
	name string // for people
	log  string // the file of its stdout and stderr
	cmd  *exec.Cmd
	gone chan struct{} // closed when it has ended
}

// launch starts the binary. What is left of it at the test's end is killed, and
// shown where the test failed.
func launch(t *testing.T, name string, args ...string) *process {
	t.Helper()
	return launchBinary(t, shared.binary, name, args...)
}

func launchBinary(t *testing.T, binary, name string, args ...string) *process {
	t.Helper()
	p := &process{t: t, name: name, log: filepath.Join(t.TempDir(), "log"), gone: make(chan struct{})}
	out, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close() // the child has a descriptor of its own
	p.cmd = exec.Command(binary, args...)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	shared.starts <- func() { started <- p.cmd.Start() }
	if err := <-started; err != nil {
		t.Fatalf("starting %s: %v", name, err)
	}
	go func() {
		_ = p.cmd.Wait() // ProcessState says how it ended
		close(p.gone)
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("the end of what %s said:\n%s", name, p.tail())
		}
	})
	return p
}

func (p *process) tail() string {
	text := p.said()
	return text[max(0, len(text)-3000):]
}

// said is all that the process has written.
func (p *process) said() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// kill is SIGKILL; it returns when the process is gone.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.gone
}

func (p *process) signal(sig syscall.Signal) {
	_ = p.cmd.Process.Signal(sig) // one that has ended hears nothing
}

// pause is SIGSTOP; it returns when every thread stands still.
func (p *process) pause() {
	p.t.Helper()
	p.signal(syscall.SIGSTOP)
	until(p.t, 10*time.Second, p.name+" stands still", func(context.Context) (bool, error) {
		return still(p.cmd.Process.Pid)
	})
}

func (p *process) resume() { p.signal(syscall.SIGCONT) }

// still says whether the kernel has stopped each thread of a process.
func still(pid int) (bool, error) {
	stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(stats) == 0 {
		return false, fmt.Errorf("the process is gone (%v)", err)
	}
	for _, name := range stats {
		stat, err := os.ReadFile(name)
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

// exit waits for the process to end by itself, for at most d, and returns its code.
func (p *process) exit(d time.Duration) int {
	p.t.Helper()
	until(p.t, d, p.name+" ends", func(context.Context) (bool, error) {
		select {
		case <-p.gone:
			return true, nil
		default:
			return false, nil
		}
	})
	return p.cmd.ProcessState.ExitCode()
}

// logged are the process's log lines with this message.
func (p *process) logged(message string) (lines []map[string]any) {
	for text := range strings.SplitSeq(p.said(), "\n") {
		var l map[string]any
		if json.Unmarshal([]byte(text), &l) == nil && l["msg"] == message {
			lines = append(lines, l)
		}
	}
	return lines
}

// ready asks /ready of a `run`: the reasons against it, "" where there are none.
func (p *process) ready(ctx context.Context) (reasons string, err error) {
	status, text, err := p.get(ctx, "/ready")
	if err == nil && status == http.StatusOK {
		return "", nil
	}
	return fmt.Sprintf("%d %s", status, text), err
}

// get asks the HTTP listener of a `run`.
func (p *process) get(ctx context.Context, path string) (status int, text string, err error) {
	serving := p.logged("serving /metrics, /ping and /ready")
	if len(serving) == 0 {
		return 0, "", fmt.Errorf("%s serves nothing yet", p.name)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%v%s", serving[0]["address"], path), nil)
	if err != nil {
		return 0, "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// isReady waits until /ready says so.
func (p *process) isReady() {
	p.t.Helper()
	until(p.t, time.Minute, p.name+" is ready", func(ctx context.Context) (bool, error) {
		reasons, err := p.ready(ctx)
		if err == nil && reasons != "" {
			err = fmt.Errorf("/ready says %s", reasons)
		}
		return err == nil, err
	})
}

// until waits for a condition, for at most d, far longer than it takes. An error
// is no end: it is told when the condition doesn't come.
func until(t *testing.T, d time.Duration, what string, is func(context.Context) (bool, error)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := is(ctx)
		if ok {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("waited %v until %s: it didn't come (%v)", d, what, err)
		case <-tick.C:
		}
	}
}
