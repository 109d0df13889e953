package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"lockstitch/pkg/app"
	"lockstitch/pkg/config"
)

func (c *cli) config() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Check and show the configuration"}
	lint := &cobra.Command{
		Use: "lint", Short: "Check the configuration and the tracking plan (exit code 2 where they are wrong)", Args: noArgs,
		Example: "  lockstitch config lint --config lockstitch.yaml",
		RunE: func(*cobra.Command, []string) error {
			cfg, err := c.load()
			if err != nil {
				return err
			}
			p, err := app.Plan(cfg)
			if err == nil {
				_, err = app.Ingest(cfg, p)
			}
			if err == nil {
				_, err = app.TopicSpecs(cfg)
			}
			if err != nil {
				return usageError{err}
			}
			_, err = fmt.Fprintln(c.out, "the configuration is right")
			return err
		},
	}
	var reference bool
	show := &cobra.Command{
		Use: "show", Short: "Print the configuration in force, without secrets", Args: noArgs,
		Example: "  lockstitch config show --config lockstitch.yaml\n  lockstitch config show --reference > lockstitch.yaml   # every field, explained",
		RunE: func(*cobra.Command, []string) error {
			if reference {
				_, err := c.out.Write(config.Reference())
				return err
			}
			cfg, err := c.load()
			if err != nil {
				return err
			}
			_, err = c.out.Write(cfg.Show())
			return err
		},
	}
	show.Flags().BoolVar(&reference, "reference", false, "print every field with its default and what it does")
	group(cmd, lint, show)
	return cmd
}
