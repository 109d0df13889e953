//go:build e2e

package main

import (
	"bytes"
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
