package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"lockstitch/pkg/config"
)

// cli is what all commands share.
type cli struct {
	path string // of the configuration
	in   io.Reader
	out  io.Writer
	errs io.Writer
}

func newRoot(in io.Reader, out, errs io.Writer) *cobra.Command {
	c := &cli{in: in, out: out, errs: errs}
	root := &cobra.Command{
		Use:   "lockstitch",
		Short: "Stitch customer events into one clean stream for Customer.io",
		Long: `Lockstitch reads customer events, anonymous and authenticated, from Kafka; decides
whose they are; drops what the same fact already said; and writes one clean,
stitched stream for Customer.io to a sink topic.

Exit codes: 0 done; 1 it failed, or found what it was to look for; 2 the command
line or the configuration is wrong.`,
		Example: `  lockstitch demo                          # the whole job, on this machine, in seconds
  lockstitch try events.jsonl              # what would come of these events?
  lockstitch dev                           # a local Kafka and Redis, and Lockstitch on them
  lockstitch run --config lockstitch.yaml  # the real thing`,
		SilenceErrors: true, SilenceUsage: true,
	}
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	root.PersistentFlags().StringVarP(&c.path, "config", "c", "", "configuration file (default: the built-in defaults, with embedded Kafka and Redis)")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	group(root, c.run(), c.try(), c.dev(), c.demo(), c.produce(), c.generate(), c.topics(), c.audit(), c.state(), c.config(), c.version())
	return root
}

// group makes cmd one that only has commands: a word that is none of them is a
// mistake, which cobra would answer with help and exit code 0, or with 1.
func group(cmd *cobra.Command, commands ...*cobra.Command) {
	cmd.AddCommand(commands...)
	cmd.DisableFlagsInUseLine = true
	cmd.SuggestionsMinimumDistance = 2
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		hint := ""
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			hint = fmt.Sprintf("; did you mean %s?", strings.Join(near, " or "))
		}
		return usageError{fmt.Errorf("unknown command %q for %q%s", args[0], cmd.CommandPath(), hint)}
	}
}

// load reads the configuration.
func (c *cli) load() (*config.Config, error) {
	cfg, err := config.Load(c.path, os.LookupEnv)
	if err != nil {
		return nil, usageError{err}
	}
	return cfg, nil
}

// loadRemote reads a configuration that names a Kafka: for commands that have
// nothing to do on an embedded one.
func (c *cli) loadRemote() (*config.Config, error) {
	cfg, err := c.load()
	if err == nil && cfg.IsEmbedded() {
		err = usageError{errNoBrokers}
	}
	return cfg, err
}

func (c *cli) logger(cfg *config.Config) *slog.Logger { return cfg.Log.Logger(c.errs) }

// noArgs and atLeastOne are cobra's, as usage errors.
func noArgs(cmd *cobra.Command, args []string) error { return wrapUsage(cobra.NoArgs(cmd, args)) }

func atLeastOne(cmd *cobra.Command, args []string) error {
	return wrapUsage(cobra.MinimumNArgs(1)(cmd, args))
}

func wrapUsage(err error) error {
	if err == nil {
		return nil
	}
	return usageError{err}
}

func (c *cli) version() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: noArgs, Example: "  lockstitch version",
		RunE: func(*cobra.Command, []string) error {
			info, ok := debug.ReadBuildInfo()
			if !ok {
				return nil
			}
			revision := ""
			for _, s := range info.Settings {
				if s.Key == "vcs.revision" {
					revision = " " + s.Value
				}
			}
			_, err := io.WriteString(c.out, "lockstitch "+info.Main.Version+revision+" "+info.GoVersion+"\n")
			return err
		},
	}
}
