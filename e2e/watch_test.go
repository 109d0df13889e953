//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// alive fails the test where the process has ended.
func (p *process) alive() {
	p.t.Helper()
	select {
	case <-p.gone:
		p.t.Fatalf("%s has ended by itself: %v", p.name, p.cmd.ProcessState)
	default:
	}
}

// says waits until /ready has all of these things against being ready.
func (p *process) says(things ...string) {
	p.t.Helper()
	until(p.t, patience, fmt.Sprintf("/ready of %s says %q", p.name, things), func(ctx context.Context) (bool, error) {
		p.alive()
		reasons, err := p.ready(ctx)
		for _, thing := range things {
			if !strings.HasPrefix(reasons, "503") || !strings.Contains(reasons, thing) {
				return false, errors.Join(err, errors.New(reasons))
			}
		}
		return err == nil, err
	})
}

// metric is the sum of a metric's samples with all of these labels, each
// `name="value"`; 0 where there are none.
func (p *process) metric(name string, labels ...string) (sum float64) {
	p.t.Helper()
	var text string
	until(p.t, patience, p.name+" tells its metrics", func(ctx context.Context) (_ bool, err error) {
		p.alive()
		_, text, err = p.get(ctx, "/metrics")
		return err == nil, err
	})
	for line := range strings.Lines(text) {
		sample, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if labelled(sample, name, labels) {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				p.t.Fatalf("metric %s: %v", name, err)
			}
			sum += n
		}
	}
	return sum
}

func labelled(sample, name string, labels []string) bool {
	is, _, _ := strings.Cut(sample, "{")
	if is != name {
		return false
	}
	for _, l := range labels {
		if !strings.Contains(sample, l) {
			return false
		}
	}
	return true
}

// peak is the most memory in bytes that the process has had resident at once.
func (p *process) peak() int64 { p.t.Helper(); return residents(p.t, p.cmd.Process.Pid, "VmHWM:") }

// resident is the memory in bytes that the process has resident.
func (p *process) resident() int64 { p.t.Helper(); return residents(p.t, p.cmd.Process.Pid, "VmRSS:") }

func residents(t *testing.T, pid int, field string) int64 {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if f := strings.Fields(lines.Text()); len(f) == 3 && f[0] == field {
			kib, err := strconv.ParseInt(f[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatalf("process %d tells no %s", pid, field)
	return 0
}

// came is how many source records there are.
func (w *world) came() (n int64) {
	w.t.Helper()
	for _, topic := range sources {
		n += w.ends(topic)
	}
	return n
}

// comeTo waits until so many source records have come.
func (w *world) comeTo(n int64) {
	w.t.Helper()
	until(w.t, patience, fmt.Sprintf("%d source records have come", n), func(context.Context) (bool, error) {
		now := w.came()
		return now >= n, fmt.Errorf("%d have", now)
	})
}

// goOn waits, for the minute that they have, until the sink grows by n records and
// the runs are ready.
func (w *world) goOn(n int64, runs ...*process) {
	w.t.Helper()
	began, stood := time.Now(), w.ends("customerio.sink")
	until(w.t, time.Minute, fmt.Sprintf("%d records more stand in the sink", n), func(ctx context.Context) (bool, error) {
		got, err := w.count(ctx, "customerio.sink")
		return err == nil && got >= stood+n, errors.Join(err, fmt.Errorf("%d do", got-stood))
	})
	went := time.Since(began)
	for _, p := range runs {
		p.isReady()
	}
	w.t.Logf("goes on after %v, ready after %v", went.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
}

// mostMemory is what a process may have resident, whatever is away and for how
// long: what it reads ahead is bounded, 8 MiB for each partition, and so is what it
// has in flight.
const mostMemory = 160 << 20

// bounded wants processes alive, and their memory within bounds.
func bounded(when string, runs ...*process) {
	for _, p := range runs {
		p.t.Helper()
		p.alive()
		p.t.Logf("%s: %s has %d MiB resident, %d at most so far", when, p.name, p.resident()>>20, p.peak()>>20)
		if p.peak() > mostMemory {
			p.t.Errorf("%s had %d MiB resident", p.name, p.peak()>>20)
		}
	}
}

// known wants that every trouble was counted as somebody's, some of this kind
// ("" for any), and that no partition was given up.
func known(part, kind string, runs ...*process) {
	for _, p := range runs {
		p.t.Helper()
		if kind != "" && p.metric("lockstitch_trouble_total", `part="`+part+`"`, `kind="`+kind+`"`) == 0 {
			p.t.Errorf("%s counts no trouble of %s of the kind %s", p.name, part, kind)
		}
		if n := p.metric("lockstitch_trouble_total", `part="other"`); n > 0 {
			p.t.Errorf("%s counts %v troubles and can't say whose: %v", p.name, n, p.logged("a journal partition waits, trying again"))
		}
		if n := p.metric("lockstitch_partitions_unserved"); n > 0 {
			p.t.Errorf("%s doesn't serve %v partitions", p.name, n)
		}
	}
}
