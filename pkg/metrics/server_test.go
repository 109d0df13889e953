package metrics

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstitch/pkg/engine"
)

// get asks the handler's server for path.
func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// serve runs a server on a free port until the test ends or stop is called, and
// checks that it stops without an error.
func serve(t *testing.T, m *Metrics, withPprof bool, checks ...Check) (url string, stop func()) {
	t.Helper()
	s, err := m.Server("127.0.0.1:0", withPprof, checks...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	}
	t.Cleanup(stop)
	return "http://" + s.Addr(), stop
}

func TestServer(t *testing.T) {
	m, _, _ := fresh()
	m.RedisMemory(42)
	url, _ := serve(t, m, false)
	for _, tt := range []struct {
		path   string
		status int
		body   string
	}{
		{"/ping", 200, "pong\n"},
		{"/metrics", 200, "\nlockstitch_redis_memory_bytes 42\n"},
		{"/metrics", 200, "\ngo_goroutines "},
		{"/ready", 200, `{"ready":true}`},
		{"/debug/pprof/", 404, ""},
		{"/", 404, ""},
	} {
		status, body := get(t, url+tt.path)
		if status != tt.status || !strings.Contains(body, tt.body) {
			t.Errorf("%s: %d, want %d with %q in:\n%s", tt.path, status, tt.status, tt.body, body)
		}
	}
	profiled, _ := serve(t, m, true)
	if status, body := get(t, profiled+"/debug/pprof/"); status != 200 || !strings.Contains(body, "goroutine") {
		t.Errorf("pprof: %d %s", status, body)
	}
}

func TestServerStopsAndFreesItsPort(t *testing.T) {
	m, _, _ := fresh()
	url, stop := serve(t, m, false)
	addr := strings.TrimPrefix(url, "http://")
	if _, err := m.Server(addr, false); err == nil || !strings.Contains(err.Error(), "metrics.listen") {
		t.Errorf("a taken port gives %v, want an error that names the field", err)
	}
	stop()
	again, err := m.Server(addr, false)
	if err != nil {
		t.Fatalf("the port is not free after the stop: %v", err)
	}
	_ = again.listener.Close()
}

// TestServerLetsRequestsEnd: a stop waits for what is being answered.
func TestServerLetsRequestsEnd(t *testing.T) {
	m, _, _ := fresh()
	asked, release := make(chan struct{}), make(chan struct{})
	s, err := m.Server("127.0.0.1:0", false, Check{"kafka", func(context.Context) error {
		close(asked)
		<-release
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	answered := make(chan int, 1)
	go func() {
		status, _ := get(t, "http://"+s.Addr()+"/ready")
		answered <- status
	}()
	<-asked
	cancel()
	close(release)
	if status := <-answered; status != 200 {
		t.Errorf("the request in flight got %d", status)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestReady(t *testing.T) {
	var kafka, redis error
	m, c, _ := fresh()
	url, _ := serve(t, m, false,
		Check{"kafka", func(context.Context) error { return kafka }}, Check{"redis", func(context.Context) error { return redis }})
	expect := func(when string, want ...Reason) {
		t.Helper()
		status, body := get(t, url+"/ready")
		var got answer
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatalf("%s: %v in %s", when, err, body)
		}
		if diff := cmp.Diff(answer{Ready: len(want) == 0, Reasons: want}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
		if ok := status == http.StatusOK; ok != got.Ready || !ok && status != http.StatusServiceUnavailable {
			t.Errorf("%s: status %d", when, status)
		}
	}
	expect("at the start")

	kafka, redis = errors.New("kafka: no broker answers"), errors.New("redis: maxmemory-policy is allkeys-lru: set noeviction")
	expect("without parts", Reason{"kafka", kafka.Error()}, Reason{"redis", redis.Error()})
	kafka, redis = nil, nil
	expect("with them again")

	for _, p := range []int32{11, 2} {
		m.TookOver(p, 0, 0)
		m.Trouble(p, redisError("OOM command not allowed"))
	}
	oom := Reason{"partitions", "journal partitions 2, 11 waiting for redis: oom"}
	expect("Redis is full, and answers", oom)
	m.TookOver(2, 0, 0)
	m.TookOver(11, 0, 0)
	expect("taking over reads alone", oom)
	m.Folded(2, engine.Batch{})
	expect("one goes on", Reason{"partitions", "journal partitions 11 waiting for redis: oom"})
	c.t = c.t.Add(settled)
	expect("the other one is idle, without trouble for a while")

	assignment, revoke := context.WithCancel(t.Context())
	fail := func() error { return fmt.Errorf("journal partition 7: %w", engine.ErrNoHistory) }
	if err := m.Serve(assignment, 7, fail); !errors.Is(err, engine.ErrNoHistory) {
		t.Fatalf("Serve returned %v", err)
	}
	lost := Reason{"partitions", "journal partitions 7 can't be served: " + engine.ErrNoHistory.Error()}
	expect("a partition can't be served", lost)
	m.TookOver(7, 0, 0)
	expect("an operator has helped")
	_ = m.Serve(assignment, 7, fail)
	expect("not enough", lost)
	revoke()
	ctx, done := context.WithTimeout(t.Context(), 10*time.Second)
	defer done()
	for len(m.Ready(ctx, nil)) > 0 {
		if ctx.Err() != nil {
			t.Fatal("it still counts after the partition went to another process")
		}
	}
}

// TestReadyKeepsALaterAssignment: the end of an earlier assignment takes nothing
// from a later one.
func TestReadyKeepsALaterAssignment(t *testing.T) {
	m, _, _ := fresh()
	fail := func() error { return engine.ErrOtherLogic }
	_ = m.Serve(t.Context(), 0, fail)
	first := m.unserved[0]
	_ = m.Serve(t.Context(), 0, fail)
	m.forget(0, first)
	if got := m.Ready(t.Context(), nil); len(got) != 1 {
		t.Errorf("got %v, want the later assignment's failure", got)
	}
}

// TestReadyOfAHangingCheck: a check that hangs is given up.
func TestReadyOfAHangingCheck(t *testing.T) {
	m, _, _ := fresh()
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // as its time-out would
	got := m.Ready(ctx, []Check{{"kafka", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }}})
	if diff := cmp.Diff([]Reason{{"kafka", "context canceled"}}, got); diff != "" {
		t.Error(diff)
	}
}
