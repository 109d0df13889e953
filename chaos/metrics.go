//go:build e2e

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// figures are sums of a process's counters.
type figures struct {
	Refused   float64 `json:"refused"`   // compare-and-sets, and reads before them
	Trouble   float64 `json:"trouble"`   // failures that were waited out
	Snapshots float64 `json:"snapshots"` // whole ones
	unserved  float64
}

func (f *figures) add(g figures) {
	f.Refused += g.Refused
	f.Trouble += g.Trouble
	f.Snapshots += g.Snapshots
}

// scrape asks a process for its metrics, as they are now. A partition that it can't
// serve is a violation: nothing that breaks here needs an operator.
func (s *slot) scrape(ctx context.Context) {
	l := s.now()
	if l == nil {
		return
	}
	text, err := l.get(ctx, "/metrics")
	if err != nil {
		return // it is paused, or starts
	}
	f := figures{
		Refused: sum(text, "lockstitch_cas_refused_total"), Trouble: sum(text, "lockstitch_trouble_total"),
		Snapshots: sum(text, "lockstitch_snapshots_total"), unserved: sum(text, "lockstitch_partitions_unserved"),
	}
	s.mu.Lock()
	was := l.seen.unserved
	l.seen = f
	s.mu.Unlock()
	if f.unserved > 0 && was == 0 {
		s.w.wrong.add("%s doesn't serve %v partitions, during: %s\n%s", s.name(), f.unserved, s.w.watch.during(), l.tail())
	}
}

// get asks a process's HTTP listener.
func (l *life) get(ctx context.Context, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+l.listening()+path, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK {
		err = os.ErrInvalid
	}
	return string(text), err
}

// sum is the sum of a metric's samples.
func sum(text, name string) (all float64) {
	for line := range strings.Lines(text) {
		sample, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if is, _, _ := strings.Cut(sample, "{"); is == name {
			n, _ := strconv.ParseFloat(value, 64)
			all += n
		}
	}
	return all
}

// logged counts what all processes of all lives said of take-overs.
func (w *world) logged(r *result) error {
	files, err := filepath.Glob(filepath.Join(w.dir, "run-*.log"))
	if err != nil {
		return err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		for line := range bytes.Lines(text) {
			r.hear(line)
		}
	}
	return nil
}

func (r *result) hear(line []byte) {
	var e struct {
		Msg     string
		From    int64
		Records int64
	}
	if json.Unmarshal(line, &e) != nil {
		return
	}
	switch {
	case strings.HasPrefix(e.Msg, "journal partition taken over behind its commit"):
		r.TakeOvers++
		r.SilentCatchUps++
		r.SilentRecords += e.Records
	case strings.HasPrefix(e.Msg, "journal partition taken over"):
		r.TakeOvers++
	case strings.HasPrefix(e.Msg, "state of a journal partition is rebuilt"):
		r.Rebuilds++
		if e.From > 0 {
			r.FromSnapshots++
		}
	}
}
