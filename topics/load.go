package topics

import (
	"cmp"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"

	"github.com/goccy/go-yaml"
)

//go:embed *.yaml
var files embed.FS

// anySource is the name in the file of what a source without a file is created as.
const anySource = "*"

// file is the form of a topic's file. Each choice stands beside its reason.
type file struct {
	Name        string   `yaml:"name"`
	Role        Role     `yaml:"role"`
	Owner       Owner    `yaml:"owner"`
	What        string   `yaml:"what"`
	Partitions  choice   `yaml:"partitions"`
	Replication choice   `yaml:"replication"`
	Configs     []config `yaml:"configs"`
}

type choice struct {
	Value int16  `yaml:"value"`
	Why   string `yaml:"why"`
}

type config struct {
	Name  string `yaml:"name"`
	Value string `yaml:"value"`
	Why   string `yaml:"why"`
}

// Load returns the topics of the embedded files with their default names: ours
// in the order sink, decisions, DLQ, journal, snapshots, then the four default
// sources by name. An error is a fault of the build: a file that doesn't parse,
// or breaks a law of the package.
func Load() ([]Spec, error) {
	specs, _, err := load(files)
	return specs, err
}

// load reads every file of dir; other is what a source without a file is made as.
func load(dir fs.FS) (specs []Spec, other Spec, err error) {
	names, err := fs.Glob(dir, "*.yaml")
	if err != nil {
		return nil, Spec{}, err
	}
	for _, name := range names {
		s, err := loadFile(dir, name)
		switch {
		case err != nil:
			return nil, Spec{}, fmt.Errorf("topic file %s: %w", name, err)
		case s.Base == anySource:
			other = s
		default:
			specs = append(specs, s)
		}
	}
	if other.Base == "" {
		return nil, Spec{}, fmt.Errorf("no topic file has the name %q: it says how a further source is made", anySource)
	}
	slices.SortStableFunc(specs, func(a, b Spec) int {
		return cmp.Or(cmp.Compare(rank(a.Role), rank(b.Role)), cmp.Compare(a.Base, b.Base))
	})
	return specs, other, validate(specs)
}

// rank orders topics of ours by role, and sources after them.
func rank(r Role) int {
	if i := slices.Index(ours[:], r); i >= 0 {
		return i
	}
	return len(ours)
}

func loadFile(dir fs.FS, name string) (Spec, error) {
	text, err := fs.ReadFile(dir, name)
	if err != nil {
		return Spec{}, err
	}
	var f file
	if err := yaml.UnmarshalWithOptions(text, &f, yaml.Strict()); err != nil {
		return Spec{}, err
	}
	if err := f.validate(); err != nil {
		return Spec{}, err
	}
	return f.spec(), nil
}

func (f file) validate() error {
	var errs []error
	need := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	need(f.Name != "", "name is missing")
	need(f.What != "", "what is missing: say in a sentence what the topic carries")
	need(f.Role == RoleSource || slices.Contains(ours[:], f.Role), "role %q is unknown", f.Role)
	need((f.Owner == OwnerUser) == (f.Role == RoleSource), "owner %q does not go with role %q: sources are the user's, all else lockstitch's", f.Owner, f.Role)
	need(f.Partitions.Value > 0, "partitions is %d: give at least 1", f.Partitions.Value)
	need(f.Replication.Value > 0, "replication is %d: give at least 1", f.Replication.Value)
	need(f.Partitions.Why != "", "partitions has no why")
	need(f.Replication.Why != "", "replication has no why")
	seen := map[string]bool{}
	for i, c := range f.Configs {
		need(c.Name != "", "configs[%d] has no name", i)
		need(c.Value != "", "%s has no value", c.Name)
		need(c.Why != "", "%s has no why", c.Name)
		need(!seen[c.Name], "%s stands twice", c.Name)
		seen[c.Name] = true
	}
	return errors.Join(errs...)
}

func (f file) spec() Spec {
	s := Spec{
		Name: f.Name, Base: f.Name, Role: f.Role, Owner: f.Owner, What: f.What,
		Partitions: int32(f.Partitions.Value), Replication: f.Replication.Value,
		Configs: make(map[string]string, len(f.Configs)),
		Why:     map[string]string{"partitions": f.Partitions.Why, "replication": f.Replication.Why},
	}
	for _, c := range f.Configs {
		s.Configs[c.Name] = c.Value
		s.Why[c.Name] = c.Why
	}
	return s
}

// validate checks the laws that hold between topics.
func validate(specs []Spec) error {
	errs := []error{validateNames(specs)}
	for _, r := range ours {
		n := 0
		for _, s := range specs {
			if s.Role == r {
				n++
			}
		}
		if n != 1 {
			errs = append(errs, fmt.Errorf("%d topics have the role %s: give exactly one", n, r))
		}
	}
	for _, s := range specs {
		errs = append(errs, s.validate())
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return validateTogether(specs)
}

// validate checks what a topic's configurations must say for the protocol to hold.
func (s Spec) validate() error {
	var errs []error
	for _, key := range []string{MinInSync, RetentionMs, MaxMessageBytes} {
		_, err := s.number(key)
		errs = append(errs, err)
	}
	if s.Configs[CleanupPolicy] != "delete" {
		errs = append(errs, fmt.Errorf("topic %s: %s is %q: only delete keeps every record for its time", s.Base, CleanupPolicy, s.Configs[CleanupPolicy]))
	}
	if s.Role == RoleJournal && s.Configs[TimestampType] != LogAppendTime {
		errs = append(errs, fmt.Errorf("topic %s: %s is %q: the fold's clock needs %s", s.Base, TimestampType, s.Configs[TimestampType], LogAppendTime))
	}
	if n, err := s.number(MinInSync); err == nil && n > int64(s.Replication) {
		errs = append(errs, fmt.Errorf("topic %s: %s %d is over its replication %d: no write could be acknowledged", s.Base, MinInSync, n, s.Replication))
	}
	return errors.Join(errs...)
}

func validateTogether(specs []Spec) error {
	journal, _ := Find(specs, RoleJournal)
	snapshots, _ := Find(specs, RoleSnapshots)
	dlq, _ := Find(specs, RoleDLQ)
	var errs []error
	if journal.Partitions != snapshots.Partitions {
		errs = append(errs, fmt.Errorf("%s has %d partitions and %s %d: snapshots need as many as the journal", journal.Base, journal.Partitions, snapshots.Base, snapshots.Partitions))
	}
	if journal.Retention() < snapshots.Retention() {
		errs = append(errs, fmt.Errorf("%s is kept for %v, shorter than %s (%v): a snapshot is of use only while the journal reaches back to it", journal.Base, journal.Retention(), snapshots.Base, snapshots.Retention()))
	}
	room, _ := dlq.number(MaxMessageBytes)
	for _, s := range specs {
		if n, _ := s.number(MaxMessageBytes); s.Role == RoleSource && n > room-HeaderRoom {
			errs = append(errs, fmt.Errorf("%s takes records of %s bytes, too large for %s (%d) with %d for added headers", s.Base, strconv.FormatInt(n, 10), dlq.Base, room, HeaderRoom))
		}
	}
	return errors.Join(errs...)
}

// HeaderRoom is how many bytes the DLQ must take beyond the largest record of a
// source, for the headers that say why it is there.
const HeaderRoom = 64 << 10
