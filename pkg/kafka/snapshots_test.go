package kafka

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
)

func TestSnapshots(t *testing.T) {
	c := newCluster(t, 2, kfake.SeedTopics(2, "snapshots"))
	s, err := NewSnapshots(c.conn, "snapshots")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx := testContext(t)
	write := func(p int32, records ...string) {
		t.Helper()
		var all [][]byte
		for _, r := range records {
			all = append(all, []byte(r))
		}
		if err := s.Write(ctx, p, all); err != nil {
			t.Fatal(err)
		}
	}
	scan := func(p int32, from int64) (found []string) {
		t.Helper()
		err := s.Scan(ctx, p, from, func(offset int64, record []byte) error {
			found = append(found, fmt.Sprintf("%d:%s", offset, record))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	want := func(got []string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	want(scan(0, 0))
	write(0, "a", "b")
	write(1, "x")
	write(0, "c")
	want(scan(0, 0), "0:a", "1:b", "2:c")
	want(scan(0, 1), "1:b", "2:c")
	want(scan(0, 3))
	want(scan(1, 0), "0:x")
	if err := c.DeleteRecords("snapshots", 0, 1); err != nil {
		t.Fatal(err)
	}
	want(scan(0, 0), "1:b", "2:c")
	enough := errors.New("enough")
	if err := s.Scan(ctx, 0, 0, func(int64, []byte) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("the error of f is lost: %v", err)
	}
	if s.Write(ctx, 7, [][]byte{nil}) == nil {
		t.Error("written to a partition that isn't there")
	}
}
