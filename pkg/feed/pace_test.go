package feed

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestPace(t *testing.T) {
	for _, tt := range []struct {
		rate  float64
		chunk int
	}{
		{0, chunk}, {-1, chunk}, {0.5, 1}, {10, 1}, {100, 5}, {50_000, 2500}, {1e9, chunk},
	} {
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			p := newPace(tt.rate)
			if p.chunk != tt.chunk {
				t.Errorf("rate %g: chunks of %d, want %d", tt.rate, p.chunk, tt.chunk)
			}
			var wantTime time.Duration
			for done := int64(0); done < 10*int64(p.chunk); {
				done += int64(p.chunk)
				if err := p.wait(t.Context(), done); err != nil {
					t.Fatal(err)
				}
				if tt.rate > 0 {
					wantTime = time.Duration(float64(done) / tt.rate * 1e9)
				}
				if got := time.Since(begin); got != wantTime {
					t.Fatalf("rate %g: %d records at %s, want %s", tt.rate, done, got, wantTime)
				}
			}
		})
	}
}

func TestPaceCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		p := newPace(1)
		enough := errors.New("enough")
		go func() {
			time.Sleep(time.Minute) // of the bubble's clock
			cancel(enough)
		}()
		if err := p.wait(ctx, 3600); !errors.Is(err, enough) || time.Since(p.start) != time.Minute {
			t.Errorf("error %v after %s", err, time.Since(p.start))
		}
	})
}
