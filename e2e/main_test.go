//go:build e2e

// Package e2e is the proof on real parts: the product's own binary, in processes
// that are killed, paused and started again, between a real Kafka and a real Redis.
//
// The law of the package: it talks to the product as its users do, by commands,
// signals, topics and HTTP. What came out is read by kcat and judged by package
// check, which share no code with the product. A test waits for what it wants to
// see, and fails when that doesn't come.
package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"lockstitch/e2e/parts"
)

// shared is what all tests use; each has its own prefix there.
var shared struct {
	binary string
	kafka  *parts.Kafka
	redis  *parts.Redis
	starts chan func() // run on the thread that outlives all children
}

func TestMain(m *testing.M) { os.Exit(withParts(m)) }

// withParts runs the tests while this goroutine starts their processes. The kernel
// kills a child when the thread that started it ends, and this one ends last: no
// process outlives the tests, however these end.
func withParts(m *testing.M) int {
	runtime.LockOSThread()
	dir, err := os.MkdirTemp("", "lockstitch-e2e-")
	if err != nil {
		return failed(err)
	}
	defer os.RemoveAll(dir)
	if err := prepare(dir); err != nil {
		return failed(err)
	}
	defer shared.kafka.Close()
	defer shared.redis.Close()
	code := make(chan int)
	go func() { code <- m.Run() }()
	for {
		select {
		case start := <-shared.starts:
			start()
		case code := <-code:
			return code
		}
	}
}

func failed(err error) int {
	fmt.Fprintln(os.Stderr, "the end-to-end tests can't run:", err)
	return 1
}

func prepare(dir string) (err error) {
	if err := parts.Missing(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute) // the first build, the first jars
	defer cancel()
	shared.starts, shared.binary = make(chan func()), filepath.Join(dir, "lockstitch")
	if text, err := exec.CommandContext(ctx, "go", "build", "-o", shared.binary, "lockstitch/cmd/lockstitch").CombinedOutput(); err != nil {
		return fmt.Errorf("building the binary: %w\n%s", err, text)
	}
	if shared.kafka, err = parts.StartKafka(ctx, filepath.Join(dir, "kafka")); err != nil {
		return err
	}
	if shared.redis, err = parts.StartRedis(ctx, filepath.Join(dir, "redis"), parts.RedisOptions{}); err != nil {
		shared.kafka.Close()
	}
	return err
}
