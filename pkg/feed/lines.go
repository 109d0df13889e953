package feed

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
)

// maxLine is the longest line: a record of the size that source topics take, as
// a text in which every byte may be escaped.
const maxLine = 64 << 20

// Lines reads JSONL from r, which errors call name. Blank lines are passed over.
// It ends at the first error.
func Lines(name string, r io.Reader) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		scanLines(name, r, yield)
	}
}

// Files reads JSONL files, one after the other; "-" is stdin, and so is no file
// at all. It ends at the first error.
func Files(stdin io.Reader, paths ...string) iter.Seq2[Line, error] {
	if len(paths) == 0 {
		paths = []string{"-"}
	}
	return func(yield func(Line, error) bool) {
		for _, path := range paths {
			if !file(stdin, path, yield) {
				return
			}
		}
	}
}

func file(stdin io.Reader, path string, yield func(Line, error) bool) (more bool) {
	if path == "-" {
		return scanLines("standard input", stdin, yield)
	}
	f, err := os.Open(path)
	if err != nil {
		yield(Line{}, err) // it names the file
		return false
	}
	defer f.Close()
	return scanLines(path, f, yield)
}

func scanLines(name string, r io.Reader, yield func(Line, error) bool) (more bool) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	var p parser
	number := 0
	for lines.Scan() {
		number++
		if blank(lines.Bytes()) {
			continue
		}
		line, err := p.parse(lines.Bytes())
		if err != nil {
			yield(Line{}, fmt.Errorf("%s:%d: the line %w", name, number, err))
			return false
		}
		if !yield(line, nil) {
			return false
		}
	}
	err := lines.Err()
	if errors.Is(err, bufio.ErrTooLong) {
		err = fmt.Errorf("the line is over %d MiB", maxLine>>20)
	}
	if err != nil {
		yield(Line{}, fmt.Errorf("%s:%d: %w", name, number+1, err))
		return false
	}
	return true
}

func blank(b []byte) bool {
	for _, c := range b {
		if c != ' ' && c != '\t' && c != '\r' {
			return false
		}
	}
	return true
}
