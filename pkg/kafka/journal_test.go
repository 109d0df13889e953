package kafka

import (
	"errors"
	"testing"

	"lockstitch/pkg/engine"
)

// A reader whose place retention has taken says so: a fold that went on behind the
// hole would be another one.
func TestJournalReaderSaysWhatIsGone(t *testing.T) {
	c := newCluster(t, 1)
	c.write(t, "journal", 0, values(6)...)
	r, err := NewJournalReader(c.conn, "journal", "process")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := c.DeleteRecords("journal", 0, 4); err != nil {
		t.Fatal(err)
	}
	if entries, err := r.Read(testContext(t), 0, 2, 10); !errors.Is(err, engine.ErrTruncated) {
		t.Errorf("got %d entries and %v, want %v", len(entries), err, engine.ErrTruncated)
	}
	entries, err := r.Read(testContext(t), 0, 4, 10)
	if err != nil || len(entries) != 2 || entries[0].Offset != 4 {
		t.Errorf("from what there is: %v, %v", entries, err)
	}
}
