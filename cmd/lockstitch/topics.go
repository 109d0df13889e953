package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"lockstitch/pkg/app"
	"lockstitch/pkg/config"
	"lockstitch/pkg/topicadmin"
	"lockstitch/topics"
)

func (c *cli) topics() *cobra.Command {
	cmd := &cobra.Command{
		Use: "topics", Short: "Plan, make and check the topics",
		Long: `The topics are reviewed files in topics/; plan shows the difference between them
and what the cluster has, apply makes it, check looks at what runs. What could lose
data, or would change the journal's partitions under live state, is refused.`,
	}
	group(cmd, c.topicsPlan(), c.topicsApply(), c.topicsCheck())
	return cmd
}

// withTopics runs f with a connection to the configured cluster.
func (c *cli) withTopics(f func(s *topicadmin.Session, cfg *config.Config) error) error {
	cfg, err := c.loadRemote()
	if err != nil {
		return err
	}
	s, err := app.TopicSession(cfg)
	if err != nil {
		return usageError{err}
	}
	defer s.Close()
	return f(s, cfg)
}

// missing says whether a topic isn't there: then nothing can be said of its records.
func missing(findings []topicadmin.Finding) bool {
	return slices.ContainsFunc(findings, func(f topicadmin.Finding) bool {
		return f.Code == topicadmin.Missing || f.Code == topicadmin.Access
	})
}

func (c *cli) topicsPlan() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "plan", Short: "Show what apply would change (exit code 1 where something is refused)", Args: noArgs,
		Example: "  lockstitch topics plan --config lockstitch.yaml",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withTopics(func(s *topicadmin.Session, cfg *config.Config) error {
				changes, err := s.Plan(cmd.Context(), app.AllGroups(cfg)...)
				if err != nil {
					return err
				}
				if asJSON {
					if err := json.NewEncoder(c.out).Encode(append(topics.Changes{}, changes...)); err != nil {
						return err
					}
				} else {
					fmt.Fprint(c.out, changes)
				}
				return changes.Err()
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the changes as JSON")
	return cmd
}

func (c *cli) topicsApply() *cobra.Command {
	return &cobra.Command{
		Use: "apply", Short: "Make the topics as they should be; all or nothing", Args: noArgs,
		Example: "  lockstitch topics apply --config lockstitch.yaml",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withTopics(func(s *topicadmin.Session, cfg *config.Config) error {
				changes, err := s.Plan(cmd.Context(), app.AllGroups(cfg)...)
				if err != nil {
					return err
				}
				fmt.Fprint(c.out, changes)
				return s.Apply(cmd.Context(), changes)
			})
		},
	}
}

func (c *cli) topicsCheck() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "check", Short: "Look at what runs: retention, sizes, append time, access, snapshots (exit code 1 on an error)", Args: noArgs,
		Example: "  lockstitch topics check --config lockstitch.yaml --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withTopics(func(s *topicadmin.Session, cfg *config.Config) error {
				findings, err := s.Check(cmd.Context())
				if err != nil {
					return err
				}
				if !missing(findings) {
					more, err := app.SnapshotFindings(cmd.Context(), cfg, time.Now())
					if err != nil {
						return err
					}
					findings = append(findings, more...)
				}
				return c.tellFindings(findings, asJSON)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the findings as JSON")
	return cmd
}

func (c *cli) tellFindings(findings []topicadmin.Finding, asJSON bool) error {
	if asJSON {
		if err := json.NewEncoder(c.out).Encode(append([]topicadmin.Finding{}, findings...)); err != nil {
			return err
		}
	}
	errs := 0
	for _, f := range findings {
		if f.Severity == topicadmin.Error {
			errs++
		}
		if !asJSON {
			fmt.Fprintln(c.out, f)
		}
	}
	if errs > 0 {
		return errors.New("topics are not as they must be; `lockstitch topics plan` shows the difference")
	}
	if len(findings) == 0 && !asJSON {
		fmt.Fprintln(c.out, "topics are as they should be")
	}
	return nil
}
