package audit

import (
	"bufio"
	"bytes"
	"container/heap"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// row is what is sorted: compared as bytes.
type row [32]byte

func (r *row) compare(o *row) int { return bytes.Compare(r[:], o[:]) }

// sorter sorts any number of rows in bounded memory: what doesn't fit goes, as
// sorted runs, to files that are merged at the end.
type sorter struct {
	path  string
	limit int
	rows  []row
	runs  []*os.File
}

func newSorter(dir, name string, limit int) *sorter {
	return &sorter{path: filepath.Join(dir, name), limit: limit}
}

func (s *sorter) add(r row) error {
	if len(s.rows) == s.limit {
		if err := s.spill(); err != nil {
			return err
		}
	}
	if len(s.rows) == cap(s.rows) { // never more than the limit, and no more than is needed
		s.rows = slices.Grow(s.rows, min(s.limit, max(1024, 2*cap(s.rows)))-len(s.rows))
	}
	s.rows = append(s.rows, r)
	return nil
}

func (s *sorter) sort() { slices.SortFunc(s.rows, func(a, b row) int { return a.compare(&b) }) }

func (s *sorter) spill() error {
	s.sort()
	f, err := os.Create(s.path + strconv.Itoa(len(s.runs)))
	if err != nil {
		return fmt.Errorf("sorting: %w", err)
	}
	s.runs = append(s.runs, f)
	w := bufio.NewWriterSize(f, 1<<20)
	for i := range s.rows {
		if _, err := w.Write(s.rows[i][:]); err != nil {
			return fmt.Errorf("sorting: %w", err)
		}
	}
	s.rows = s.rows[:0]
	if err := w.Flush(); err != nil {
		return fmt.Errorf("sorting: %w", err)
	}
	return nil
}

// each hands out all rows in order. It is called once, after the last add.
func (s *sorter) each(f func(*row)) error {
	s.sort()
	m := merge{}
	for _, run := range s.runs {
		if _, err := run.Seek(0, io.SeekStart); err != nil {
			return fmt.Errorf("sorting: %w", err)
		}
		r := bufio.NewReaderSize(run, 256<<10)
		m = append(m, &source{next: func(to *row) error { _, err := io.ReadFull(r, to[:]); return err }})
	}
	rows := s.rows
	m = append(m, &source{next: func(to *row) error {
		if len(rows) == 0 {
			return io.EOF
		}
		*to, rows = rows[0], rows[1:]
		return nil
	}})
	return m.each(f)
}

func (s *sorter) close() {
	for _, f := range s.runs {
		_ = f.Close() // the folder goes as a whole
	}
}

// source is one sorted run.
type source struct {
	head row
	next func(to *row) error
}

// merge is runs by their first row.
type merge []*source

func (m merge) Len() int           { return len(m) }
func (m merge) Less(i, j int) bool { return m[i].head.compare(&m[j].head) < 0 }
func (m merge) Swap(i, j int)      { m[i], m[j] = m[j], m[i] }
func (m *merge) Push(x any)        { *m = append(*m, x.(*source)) }
func (m *merge) Pop() any          { s := (*m)[len(*m)-1]; *m = (*m)[:len(*m)-1]; return s }

func (m merge) each(f func(*row)) error {
	var filled merge
	for _, s := range m {
		switch err := s.next(&s.head); {
		case err == nil:
			filled = append(filled, s)
		case !errors.Is(err, io.EOF):
			return fmt.Errorf("sorting: %w", err)
		}
	}
	heap.Init(&filled)
	for len(filled) > 0 {
		s := filled[0]
		f(&s.head)
		switch err := s.next(&s.head); {
		case err == nil:
			heap.Fix(&filled, 0)
		case errors.Is(err, io.EOF):
			heap.Pop(&filled)
		default:
			return fmt.Errorf("sorting: %w", err)
		}
	}
	return nil
}
