//go:build e2e

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"
)

// firstBar is the least ratio to the bare copy that the full job has to reach.
const firstBar = 0.12

// measured is one measurement.
type measured struct {
	records int64
	took    time.Duration
	cpu     map[string]time.Duration // by process
	redis   int64                    // bytes, of the full job
}

// rate is records a second.
func (m measured) rate() float64 { return float64(m.records) / m.took.Seconds() }

// result is what a run found: a list has one figure for each round.
type result struct {
	Records int       `json:"records"`
	Cores   int       `json:"cores"`
	Copy    []float64 `json:"copy_records_per_second"`
	TwoHops []float64 `json:"two_hops_records_per_second"`
	Job     []float64 `json:"job_records_per_second"`

	Ratio      []float64            `json:"ratio_to_copy"`
	RatioHops  []float64            `json:"ratio_to_two_hops"`
	CPU        map[string][]float64 `json:"cpu_us_per_record"`       // by measurement and process
	CPURatio   []float64            `json:"cpu_of_copy_to_full_job"` // all processes together
	RedisBytes []float64            `json:"redis_bytes_per_million"`

	Rate    float64 `json:"latency_rate_per_second"`
	Latency latency `json:"latency"`
}

// add adds a round.
func (r *result) add(one, two, full measured) {
	r.Copy = append(r.Copy, one.rate())
	r.TwoHops = append(r.TwoHops, two.rate())
	r.Job = append(r.Job, full.rate())
	r.Ratio = append(r.Ratio, full.rate()/one.rate())
	r.RatioHops = append(r.RatioHops, full.rate()/two.rate())
	r.CPURatio = append(r.CPURatio, r.cost("copy", one)/r.cost("full job", full))
	r.RedisBytes = append(r.RedisBytes, float64(full.redis)*1e6/float64(full.records))
}

// cost notes the CPU time that a measurement took, and returns that of all
// processes together, µs a record.
func (r *result) cost(name string, m measured) (sum float64) {
	if r.CPU == nil {
		r.CPU = map[string][]float64{}
	}
	for process, t := range m.cpu {
		us := t.Seconds() * 1e6 / float64(m.records)
		key := name + ", " + process
		r.CPU[key] = append(r.CPU[key], us)
		sum += us
	}
	return sum
}

func median(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// print writes the result for people, or as JSON.
func (r *result) print(out io.Writer, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(name, format string, all []float64) {
		fmt.Fprintf(w, "%s\t"+format+"\t", name, median(all))
		for _, x := range all {
			fmt.Fprintf(w, format+"\t", x)
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "%d records, %d cores\tmedian\t", r.Records, r.Cores)
	for i := range r.Copy {
		fmt.Fprintf(w, "round %d\t", i+1)
	}
	fmt.Fprintln(w)
	row("bare copy, records/s", "%.0f", r.Copy)
	row("bare copy in two hops, records/s", "%.0f", r.TwoHops)
	row("full job, records/s", "%.0f", r.Job)
	row("full job to bare copy", "%.3f", r.Ratio)
	row("full job to two hops", "%.3f", r.RatioHops)
	for _, name := range slices.Sorted(maps.Keys(r.CPU)) {
		row("CPU µs a record, "+name, "%.1f", r.CPU[name])
	}
	row("CPU of bare copy to full job", "%.3f", r.CPURatio)
	row("Redis bytes for a million records", "%.0f", r.RedisBytes)
	if err := w.Flush(); err != nil {
		return err
	}
	met := "met"
	if median(r.Ratio) < firstBar {
		met = "missed"
	}
	_, err := fmt.Fprintf(out, "\nfirst bar, %.2f of the bare copy: %s\nlatency at %.0f records/s: p50 %d ms, p99 %d ms, max %d ms (%d published)\n",
		firstBar, met, r.Rate, r.Latency.P50, r.Latency.P99, r.Latency.Max, r.Latency.Published)
	return err
}
