//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lockstitch/e2e/parts"
)

// What tokens and the broker's sessions live for: short, so that a run outlives
// several of them.
const (
	tokenLife   = 6 * time.Second
	sessionLife = 4 * time.Second
)

// TestOAuthBearer moves a running installation from no authentication to tokens
// out of a file, which doesn't exist at first, and on to tokens from an endpoint.
// Each time it goes on beyond the life of its tokens, and nothing is lost.
func TestOAuthBearer(t *testing.T) {
	broker, addr := oauthKafka(t)
	w := newWorld(t, setup{kafka: broker, committed: true})
	open := w.start("run")
	open.isReady()
	traffic := w.trickle()

	tokenFile := filepath.Join(t.TempDir(), "token")
	w.authenticate(addr, fmt.Sprintf("token_file: %q", tokenFile))
	byFile := w.start("run")
	until(t, patience, "the run misses its token", func(context.Context) (bool, error) {
		return strings.Contains(byFile.said(), "the token's file"), nil
	})
	renew(t, tokenFile)
	byFile.isReady()
	w.stops(open) // the two clients' protocols don't mix: ingest moves now
	w.outlives()
	produce := w.generate(800, 100) // kafka-go's writer, for longer than a session

	url := tokenEndpoint(t)
	t.Setenv("CLIENT_SECRET", "right")
	w.authenticate(addr, fmt.Sprintf("token_url: %q, user: shop, password: '${CLIENT_SECRET}', scopes: [kafka]", url))
	byEndpoint := w.start("run")
	byEndpoint.isReady()
	w.stops(byFile)
	w.outlives()

	if code := produce.exit(patience); code != 0 {
		t.Errorf("produce ended with %d:\n%s", code, produce.tail())
	}
	written := traffic()
	w.settle()
	if counts := w.judge(true); counts.Sources < written+800 {
		t.Errorf("%d records judged, of %d", counts.Sources, written+800)
	}
}

func oauthKafka(t *testing.T) (*parts.Kafka, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	broker, addr, err := parts.StartOAuthKafka(ctx, t.TempDir(), sessionLife)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	return broker, addr
}

// authenticate makes the next commands reach Kafka at addr with OAUTHBEARER.
func (w *world) authenticate(addr, tokens string) {
	w.t.Helper()
	text, err := os.ReadFile(w.file)
	if err != nil {
		w.t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, "kafka: ") {
			lines[i] = fmt.Sprintf("kafka: {brokers: [%q], sasl: {mechanism: oauthbearer, %s}}", addr, tokens)
		}
	}
	w.file = filepath.Join(w.t.TempDir(), "lockstitch.yaml")
	if err := os.WriteFile(w.file, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// renew writes a token to a file, again and again before it expires, until the test ends.
func renew(t *testing.T, file string) {
	t.Helper()
	write := func() {
		if err := os.WriteFile(file+".new", []byte(parts.UnsecuredToken("lockstitch", time.Now().Add(tokenLife))), 0o600); err != nil {
			t.Error(err)
		} else if err := os.Rename(file+".new", file); err != nil {
			t.Error(err)
		}
	}
	write()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(tokenLife / 6)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				write()
			case <-ctx.Done():
				return
			}
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
}

// tokenEndpoint gives a token to whoever knows the client's secret.
func tokenEndpoint(t *testing.T) (url string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		id, secret, _ := r.BasicAuth()
		if id != "shop" || secret != "right" || r.FormValue("grant_type") != "client_credentials" || r.FormValue("scope") != "kafka" {
			rw.WriteHeader(http.StatusUnauthorized)
			return
		}
		rw.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(rw, `{"access_token":%q,"token_type":"Bearer","expires_in":%d}`,
			parts.UnsecuredToken("lockstitch", time.Now().Add(tokenLife)), int(tokenLife.Seconds()))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// outlives waits until everything goes on after every token that there is now has
// expired, and every session has ended.
func (w *world) outlives() {
	w.t.Helper()
	for end := time.Now().Add(tokenLife + sessionLife); time.Now().Before(end); {
		w.goesOn()
	}
	w.goesOn()
}
