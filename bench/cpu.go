//go:build e2e

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

// hertz is what /proc counts CPU time in, on every Linux.
const hertz = 100

// cpu is the CPU time, user and system, of processes by name; 0 for process ID 0.
func cpu(pids map[string]int) (map[string]time.Duration, error) {
	all := map[string]time.Duration{}
	for name, pid := range pids {
		if pid == 0 {
			continue
		}
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return nil, err
		}
		// "pid (name) state …": a name may hold a parenthesis. utime and stime are
		// the 12th and 13th fields after it.
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		for _, f := range fields[11:13] {
			ticks, err := strconv.ParseInt(string(f), 10, 64)
			if err != nil {
				return nil, err
			}
			all[name] += time.Duration(ticks) * time.Second / hertz
		}
	}
	return all, nil
}

// spent is the CPU time since before; a process that wasn't there then spent all of it.
func spent(pids map[string]int, before map[string]time.Duration) (map[string]time.Duration, error) {
	all, err := cpu(pids)
	for name := range all {
		all[name] -= before[name]
	}
	return all, err
}

// quiet waits until the broker has done what it was asked for before: topics that a
// round makes, and those that the one before has removed, keep it busy for a second,
// which is no part of what is measured next.
func (w *world) quiet(ctx context.Context) error {
	const look, idle = 250 * time.Millisecond, 25 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	kafka := map[string]int{"kafka": w.kafka.PID()}
	for {
		before, err := cpu(kafka)
		if err != nil {
			return err
		}
		select {
		case <-time.After(look):
		case <-ctx.Done():
			return errors.New("the broker does not come to rest")
		}
		if used, err := spent(kafka, before); err != nil || used["kafka"] <= idle {
			return err
		}
	}
}
