package parts

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
)

// KcatRecord is one record as kcat shows it: another client's view of a topic
// than that of the code under test. Text that isn't UTF-8 doesn't survive.
type KcatRecord struct {
	Topic     string  `json:"topic"`
	Partition int32   `json:"partition"`
	Offset    int64   `json:"offset"`
	Time      int64   `json:"ts"`  // Unix milliseconds
	Key       *string `json:"key"` // nil: null
	Payload   *string `json:"payload"`

	Headers KcatHeaders `json:"headers"`
}

// KcatHeaders are names and values in turn, as kcat prints them.
type KcatHeaders []string

// Get is the value of the first header of that name; "" where there is none.
func (h KcatHeaders) Get(name string) string {
	for i := 0; i+1 < len(h); i += 2 {
		if h[i] == name {
			return h[i+1]
		}
	}
	return ""
}

// Kcat reads a topic from its start to its present end, as read_committed
// unless arguments ("-X", "isolation.level=read_uncommitted") say otherwise.
// Partitions come in any order, the records of each in that of the log. A topic
// that doesn't exist is an error.
func Kcat(ctx context.Context, addr, topic string, arguments ...string) ([]KcatRecord, error) {
	args := append([]string{"-C", "-q", "-J", "-e", "-b", addr, "-t", topic, "-o", "beginning",
		"-X", "isolation.level=read_committed"}, arguments...)
	cmd := exec.CommandContext(ctx, "kcat", args...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("kcat of topic %s: %w: %s", topic, errors.Join(err, context.Cause(ctx)), said.Bytes())
	}
	var records []KcatRecord
	for d := json.NewDecoder(&out); ; {
		var r KcatRecord
		err := d.Decode(&r)
		if errors.Is(err, io.EOF) {
			return records, nil
		}
		if err != nil {
			return nil, fmt.Errorf("kcat's record %d of topic %s: %w", len(records), topic, err)
		}
		records = append(records, r)
	}
}
