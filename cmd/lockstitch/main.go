// Command lockstitch stitches customer events into one clean stream for
// Customer.io. Exit codes: 0 done; 1 it failed, or found what it was to look for;
// 2 the command line or the configuration is wrong.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// Exit codes.
const (
	exitFailed = 1
	exitUsage  = 2
)

// usageError is a mistake in the command line or the configuration.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// run is main without the process: tests call it.
func run(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	root := newRoot(in, out, errs)
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	switch _, usage := errors.AsType[usageError](err); {
	case err == nil:
		return 0
	case usage:
		fmt.Fprintf(errs, "lockstitch: %v\n\nSee `%s --help`.\n", err, cmd.CommandPath())
		return exitUsage
	}
	fmt.Fprintf(errs, "lockstitch: %v\n", err)
	return exitFailed
}
