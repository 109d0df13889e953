package topics

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Options are what the configuration says about topics. The zero Options is
// the files as they are.
type Options struct {
	// Prefix stands before every topic's name, sources included.
	Prefix string
	// Names are other names of topics of ours, by role, without the prefix; what
	// is missing or empty is the file's.
	Names map[Role]string
	// JournalPartitions is the number of partitions of the journal and of the
	// snapshots; 0 is the file's. It can't change while there is state.
	JournalPartitions int32
	// Replication is every topic's number of replicas; 0 is the files'.
	// min.insync.replicas follows, so that one broker may always be down.
	Replication int16
	// Retention is how long topics of ours keep records, by role, in whole
	// milliseconds; what is missing or 0 is the file's.
	Retention map[Role]time.Duration
	// Sources are the topics to read; nil is the four default ones.
	Sources []Source
}

// Source is one topic to read.
type Source struct {
	Topic     string    // without the prefix
	Isolation Isolation // empty: ReadUncommitted
}

// Specs returns the topics that o asks for, in the order of Load, sources in
// the order of o.Sources. An error names every setting that can't be.
func (o Options) Specs() ([]Spec, error) {
	loaded, other, err := load(files)
	if err != nil {
		return nil, err
	}
	if err := o.validate(); err != nil {
		return nil, err
	}
	specs := slices.DeleteFunc(slices.Clone(loaded), func(s Spec) bool { return s.Role == RoleSource })
	specs = append(specs, o.sources(loaded, other)...)
	for i := range specs {
		specs[i] = o.apply(specs[i])
	}
	return specs, validate(specs)
}

func (o Options) validate() error {
	var errs []error
	if o.JournalPartitions < 0 || o.Replication < 0 {
		errs = append(errs, fmt.Errorf("journal partitions %d, replication %d: neither can be negative", o.JournalPartitions, o.Replication))
	}
	for _, r := range slices.Sorted(maps.Keys(o.Names)) {
		if !slices.Contains(ours[:], r) {
			errs = append(errs, fmt.Errorf("name of %q: name a topic of lockstitch's own (%v)", r, ours))
		}
	}
	for _, r := range slices.Sorted(maps.Keys(o.Retention)) {
		d := o.Retention[r]
		if !slices.Contains(ours[:], r) {
			errs = append(errs, fmt.Errorf("retention of %q: name a topic of lockstitch's own (%v)", r, ours))
		}
		if d != 0 && (d < time.Minute || d%time.Millisecond != 0) {
			errs = append(errs, fmt.Errorf("retention of %s is %v: give whole milliseconds, a minute at least", r, d))
		}
	}
	for _, s := range o.Sources {
		if s.Isolation != "" && s.Isolation != ReadCommitted && s.Isolation != ReadUncommitted {
			errs = append(errs, fmt.Errorf("source %s: isolation is %q: give %s or %s", s.Topic, s.Isolation, ReadCommitted, ReadUncommitted))
		}
	}
	return errors.Join(errs...)
}

// sources are the topics to read: by their own file, or as the file of others says.
func (o Options) sources(loaded []Spec, other Spec) []Spec {
	var specs []Spec
	if o.Sources == nil {
		for _, s := range loaded {
			if s.Role == RoleSource {
				s.Isolation = ReadUncommitted
				specs = append(specs, s)
			}
		}
		return specs
	}
	for _, want := range o.Sources {
		s := other
		if i := slices.IndexFunc(loaded, func(l Spec) bool { return l.Role == RoleSource && l.Base == want.Topic }); i >= 0 {
			s = loaded[i]
		}
		s.Base, s.Name, s.Isolation = want.Topic, want.Topic, want.Isolation
		if s.Isolation == "" {
			s.Isolation = ReadUncommitted
		}
		specs = append(specs, s)
	}
	return specs
}

// apply returns s as o wants it, sharing no map with it.
func (o Options) apply(s Spec) Spec {
	s.Configs = maps.Clone(s.Configs)
	if name := o.Names[s.Role]; name != "" {
		s.Base = name
	}
	s.Name = o.Prefix + s.Base
	if o.JournalPartitions > 0 && (s.Role == RoleJournal || s.Role == RoleSnapshots) {
		s.Partitions = o.JournalPartitions
	}
	if o.Replication > 0 {
		s.Replication = o.Replication
		if n, err := s.number(MinInSync); err == nil {
			s.Configs[MinInSync] = strconv.FormatInt(max(1, min(n, int64(o.Replication)-1)), 10)
		}
	}
	if d := o.Retention[s.Role]; d != 0 {
		s.Configs[RetentionMs] = strconv.FormatInt(d.Milliseconds(), 10)
	}
	return s
}

// validateNames checks that Kafka takes the names, side by side.
func validateNames(specs []Spec) error {
	var errs []error
	seen := map[string]string{}
	for _, s := range specs {
		if err := validName(s.Name); err != nil {
			errs = append(errs, err)
		}
		// Kafka names metrics with '_' for '.', and refuses two topics that then
		// have one name.
		metric := strings.ReplaceAll(s.Name, ".", "_")
		if other, taken := seen[metric]; taken {
			errs = append(errs, fmt.Errorf("topics %q and %q are one name to Kafka: rename one", other, s.Name))
		}
		seen[metric] = s.Name
	}
	return errors.Join(errs...)
}

func validName(name string) error {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	bad := name == "" || name == "." || name == ".." || len(name) > 249 ||
		strings.ContainsFunc(name, func(r rune) bool { return !strings.ContainsRune(allowed, r) })
	if bad {
		return fmt.Errorf("topic name %q: give 1 to 249 of letters, digits, '.', '_' and '-'", name)
	}
	return nil
}
