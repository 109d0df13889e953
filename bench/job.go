//go:build e2e

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// job is one `lockstitch run` on topics and state of its own, with what was in
// the sources before as its backlog.
type job struct {
	w       *world
	round   string
	cmd     *exec.Cmd
	log     string
	gone    chan struct{}
	stopped bool

	began  time.Time                // when it was started
	before map[string]time.Duration // CPU time at the start
	empty  int64                    // Redis's bytes at the start
}

// Names of the job's topics and groups, as configure has them.
func (j *job) journal() string   { return j.round + ".journal" }
func (j *job) sink() string      { return j.round + ".sink" }
func (j *job) outputs() []string { return []string{j.sink(), j.round + ".decisions", j.round + ".dlq"} }
func (j *job) ingest() string    { return "bench-" + j.round + "-ingest" }
func (j *job) process() string   { return "bench-" + j.round + "-process" }

// startJob starts it on an empty Redis.
func (w *world) startJob(ctx context.Context, round string) (*job, error) {
	path, err := w.configure(ctx, round)
	if err != nil {
		return nil, err
	}
	if err := w.client.FlushAll(ctx).Err(); err != nil {
		return nil, err
	}
	if err := w.quiet(ctx); err != nil {
		return nil, err
	}
	j := &job{w: w, round: round, log: filepath.Join(w.dir, round+".log"), gone: make(chan struct{})}
	if j.empty, err = w.memory(ctx); err != nil {
		return nil, err
	}
	if j.before, err = cpu(w.processes(0)); err != nil {
		return nil, err
	}
	out, err := os.Create(j.log)
	if err != nil {
		return nil, err
	}
	defer out.Close() // the child has a descriptor of its own
	j.cmd = exec.Command(w.binary, "run", "--config", path)
	j.cmd.Stdout, j.cmd.Stderr = out, out
	j.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	j.began = time.Now()
	if err := j.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = j.cmd.Wait() // how it ended is in its log
		close(j.gone)
	}()
	return j, nil
}

// stop ends it as an operator would, and removes its topics.
func (j *job) stop() {
	if j.stopped {
		return
	}
	j.stopped = true
	_ = j.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-j.gone:
	case <-time.After(15 * time.Second):
		say("lockstitch did not stop within 15 s of SIGTERM")
		_ = j.cmd.Process.Kill()
		<-j.gone
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := j.w.forget(ctx, append(j.outputs(), j.journal(), j.round+".snapshots")...); err != nil {
		say("removing the round's topics: %v", err)
	}
}

// backlog waits until all is folded, and says how long that took and what it cost.
func (j *job) backlog(ctx context.Context, profile string) (m measured, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if m.records, err = j.w.held(ctx, sources); err != nil {
		return m, err
	}
	profiled := make(chan error, 1)
	go func() { profiled <- j.profile(ctx, profile) }()
	if err := j.settled(ctx); err != nil {
		return m, fmt.Errorf("%w; the end of its log:\n%s", err, j.tail())
	}
	if m.took, err = j.w.span(ctx, j.began, j.outputs()); err != nil {
		return m, err
	}
	if m.cpu, err = spent(j.w.processes(j.cmd.Process.Pid), j.before); err != nil {
		return m, err
	}
	full, err := j.w.memory(ctx)
	m.redis = full - j.empty
	return m, errors.Join(err, <-profiled)
}

// chain is how many entities a record may go through, one after the other, in
// journal partitions: order, device, customer, address, customer.
const chain = 5

// settled waits until ingest has read everything and the processors have folded
// all that came of it. Each lap folds at least one hop further. Orders that are
// held are folded: their time comes minutes later.
func (j *job) settled(ctx context.Context) error {
	if err := j.reach(ctx, j.ingest(), sources...); err != nil {
		return fmt.Errorf("ingest: %w", err)
	}
	for range chain {
		if err := j.reach(ctx, j.process(), j.journal()); err != nil {
			return fmt.Errorf("process: %w", err)
		}
	}
	return nil
}

// reach waits until the group has committed what is in the topics now.
func (j *job) reach(ctx context.Context, group string, topics ...string) error {
	ends, err := j.w.ends(ctx, topics...)
	if err != nil {
		return err
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		at, err := j.w.admin.FetchOffsets(ctx, group)
		if err == nil && past(at, ends) {
			return nil
		}
		select {
		case <-tick.C:
		case <-j.gone:
			return errors.New("lockstitch ended by itself")
		case <-ctx.Done():
			return fmt.Errorf("not done in time: %w", errors.Join(ctx.Err(), err))
		}
	}
}

func past(at kadm.OffsetResponses, ends kadm.ListedOffsets) bool {
	done := true
	ends.Each(func(o kadm.ListedOffset) {
		committed, ok := at.Lookup(o.Topic, o.Partition)
		done = done && (o.Offset == 0 || ok && committed.At >= o.Offset)
	})
	return done
}

// profile takes a CPU profile while the backlog is worked on; to no file: none.
func (j *job) profile(ctx context.Context, file string) error {
	if file == "" {
		return nil
	}
	for j.listening() == "" {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	resp, err := http.Get("http://" + j.listening() + "/debug/pprof/profile?seconds=6")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o644)
}

// listening is the address that lockstitch logs when it serves metrics.
func (j *job) listening() string {
	text, _ := os.ReadFile(j.log)
	for line := range bytes.Lines(text) {
		var entry struct{ Address string }
		if json.Unmarshal(line, &entry) == nil && entry.Address != "" {
			return entry.Address
		}
	}
	return ""
}

func (j *job) tail() string {
	text, _ := os.ReadFile(j.log)
	return string(text[max(0, len(text)-4096):])
}

// memory is Redis's used_memory.
func (w *world) memory(ctx context.Context) (int64, error) {
	info, err := w.client.InfoMap(ctx, "memory").Result()
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(info["Memory"]["used_memory"], 10, 64)
}
