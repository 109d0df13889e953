//go:build e2e

package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/twmb/franz-go/pkg/kadm"

	"lockstitch/pkg/engine"
)

// archive keeps what is cut off the journal, so that all of it can be folded at
// the end.
type archive struct {
	w  *world
	to [partitions]int64 // it holds [0, to)
	// size is the file's, bytes: what a copy that failed left behind it goes.
	size [partitions]int64
}

func newArchive(w *world) *archive { return &archive{w: w} }

func (a *archive) file(p int32) string {
	return filepath.Join(a.w.dir, fmt.Sprintf("journal-%d.cut", p))
}

// cut copies partition p up to x and has the broker delete that.
func (a *archive) cut(ctx context.Context, p int32, x int64) error {
	if x > a.to[p] {
		if err := a.keep(ctx, p, x); err != nil {
			return err
		}
	}
	offsets := kadm.Offsets{}
	offsets.Add(kadm.Offset{Topic: a.w.cfg.TopicNames().Journal, Partition: p, At: x})
	done, err := a.w.admin.DeleteRecords(ctx, offsets)
	return errors.Join(err, done.Error())
}

func (a *archive) keep(ctx context.Context, p int32, x int64) (err error) {
	f, err := os.OpenFile(a.file(p), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.Truncate(a.size[p]); err != nil {
		return err
	}
	out, size := bufio.NewWriterSize(f, 1<<20), a.size[p]
	err = a.read(ctx, p, a.to[p], x, func(e engine.Entry) error {
		var head [20]byte
		binary.LittleEndian.PutUint64(head[:], uint64(e.Offset))
		binary.LittleEndian.PutUint64(head[8:], uint64(e.Time))
		binary.LittleEndian.PutUint32(head[16:], uint32(len(e.Value)))
		if _, err := out.Write(head[:]); err != nil {
			return err
		}
		size += int64(len(head) + len(e.Value))
		_, err := out.Write(e.Value)
		return err
	})
	if err = errors.Join(err, out.Flush()); err == nil {
		a.to[p], a.size[p] = x, size
	}
	return err
}

// read reads [from, to) of the journal itself. Nothing writes transactions there,
// so a gap is a loss.
func (a *archive) read(ctx context.Context, p int32, from, to int64, f func(engine.Entry) error) error {
	for at := from; at < to; {
		entries, err := a.w.parts.Journal.Read(ctx, p, at, int(min(10_000, to-at)))
		if err = errors.Join(err, context.Cause(ctx)); err != nil {
			return err
		}
		for _, e := range entries {
			if e.Offset != at {
				return fmt.Errorf("journal partition %d goes from %d to %d", p, at, e.Offset)
			}
			if err := f(e); err != nil {
				return err
			}
			at++
		}
	}
	return nil
}

// all reads partition p from its very start to end.
func (a *archive) all(ctx context.Context, p int32, end int64, f func(engine.Entry) error) error {
	if a.to[p] > 0 {
		if err := a.kept(p, f); err != nil {
			return fmt.Errorf("%s: %w", a.file(p), err)
		}
	}
	return a.read(ctx, p, a.to[p], end, f)
}

func (a *archive) kept(p int32, f func(engine.Entry) error) error {
	file, err := os.Open(a.file(p))
	if err != nil {
		return err
	}
	defer file.Close()
	in := bufio.NewReaderSize(file, 1<<20)
	for at := int64(0); at < a.to[p]; at++ {
		var head [20]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return err
		}
		e := engine.Entry{
			Offset: int64(binary.LittleEndian.Uint64(head[:])), Time: int64(binary.LittleEndian.Uint64(head[8:])),
			Value: make([]byte, binary.LittleEndian.Uint32(head[16:])),
		}
		if _, err := io.ReadFull(in, e.Value); err != nil {
			return err
		}
		if e.Offset != at {
			return fmt.Errorf("it goes from %d to %d", at, e.Offset)
		}
		if err := f(e); err != nil {
			return err
		}
	}
	return nil
}
