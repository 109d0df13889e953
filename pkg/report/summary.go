package report

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
)

// Summary counts what a run did. The zero value is ready.
type Summary struct {
	Records     int            // source records, by their outcomes
	Outcomes    map[string]int // by outcome; a held record counts under what became of it
	Reasons     map[[2]string]int
	Customers   int
	Leads       int
	Anonymous   int
	Merges      int
	TakeOvers   int
	AddDevice   int
	DropDevice  int
	Orders      int // distinct orders in the sink
	Corrections int
	Held        int // records that were held at first

	final  map[string][2]string // source → outcome, reason
	people map[string]bool
	orders map[string]bool
}

// Add counts one output record.
func (s *Summary) Add(r Record) {
	if s.final == nil {
		s.final, s.people, s.orders = map[string][2]string{}, map[string]bool{}, map[string]bool{}
	}
	l := read(r)
	if l.kind == "sink" {
		s.sink(r, l)
	}
	if l.kind == "identity" && l.name == "lead_taken_over" {
		s.TakeOvers++
	}
	if l.outcome == "" {
		return
	}
	if l.outcome == "held" {
		s.Held++
	}
	if old, ok := s.final[l.source]; !ok || old[0] == "held" {
		s.final[l.source] = [2]string{l.outcome, l.reason}
	}
}

func (s *Summary) sink(r Record, l line) {
	switch l.action {
	case "merge":
		if l.merged {
			s.Merges++
		}
	case "add_device":
		s.AddDevice++
	case "delete_device":
		s.DropDevice++
	}
	if l.order != "" && !s.orders[l.order] {
		s.orders[l.order] = true
		s.Orders++
	}
	if r.Headers["ls-corrects"] != "" {
		s.Corrections++
	}
	kind := &s.Customers
	switch l.why {
	case "anonymous", "ambiguous":
		kind = &s.Anonymous
	case "email":
		if !personHasID(r) {
			kind = &s.Leads
		}
	}
	if !s.people[l.person] {
		s.people[l.person] = true
		*kind++
	}
}

// Finish counts records by outcome; call it once, at the end.
func (s *Summary) Finish() *Summary {
	s.Outcomes, s.Reasons = map[string]int{}, map[[2]string]int{}
	for _, o := range s.final {
		s.Outcomes[o[0]]++
		s.Reasons[o]++
	}
	s.Records = len(s.final)
	return s
}

// Write prints the summary for people.
func (s *Summary) Write(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "source records\t%d\teach with exactly one outcome:\n", s.Records)
	for _, o := range byCount(s.Outcomes) {
		fmt.Fprintf(tw, "  %s\t%d\t\n", o, s.Outcomes[o])
		for _, k := range byCount(s.Reasons) {
			if k[0] == o {
				fmt.Fprintf(tw, "    %s\t%d\tlaw: %s\n", k[1], s.Reasons[k], Law(k[0], k[1]))
			}
		}
	}
	fmt.Fprintf(tw, "people\t%d\t%d customers, %d leads known by an address, %d anonymous\n",
		s.Customers+s.Leads+s.Anonymous, s.Customers, s.Leads, s.Anonymous)
	fmt.Fprintf(tw, "merges\t%d\tof two customers, and %d leads taken over by the customer who owns the address\n", s.Merges, s.TakeOvers)
	fmt.Fprintf(tw, "orders\t%d\tin the sink, each once; %d records were held first, %d corrections\n", s.Orders, s.Held, s.Corrections)
	fmt.Fprintf(tw, "push devices\t%d\ttokens given, %d taken away\n", s.AddDevice, s.DropDevice)
	return tw.Flush()
}

func byCount[K comparable](m map[K]int) []K {
	return slices.SortedFunc(maps.Keys(m), func(a, b K) int {
		return cmp.Or(cmp.Compare(m[b], m[a]), cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)))
	})
}
