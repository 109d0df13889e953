//go:build mutants

package mutants

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// mutant is a safeguard taken away: in file, from becomes to.
type mutant struct {
	file, from, to string
	also           []mutant // further replacements
	test           []string // of go test: what has to fail
}

func simulator(schedules string) []string {
	return []string{"./pkg/engine", "-run", "^TestSimulator$", "-sim.schedules", schedules}
}

// publishing is where an owner publishes a batch.
const publishing = "	if len(out) > 0 {\n		if err := o.log.Publish(ctx, out); err != nil {\n			o.room = wire.Room{} // what was encoded may still be on its way\n			return err\n		}\n	}\n"

var mutants = map[string]mutant{
	"seen": {
		"stitch/fold.go", "if last, ok := p.Seen[from]; ok && !pl.After(last) {", "if last, ok := p.Seen[from]; ok && false && !pl.After(last) {",
		nil, simulator("1000"),
	},
	"the silent catch-up": {
		"pkg/engine/owner.go", "o.silent, o.committed, o.caughtUp, o.ruled = c, c, end, false", "o.silent, o.committed, o.caughtUp, o.ruled = 0, c, end, false",
		nil, simulator("2000"),
	},
	"the compare, in Redis": {
		"pkg/redis/scripts.go", "if head[2] ~= ARGV[2] then return 0 end\n\nif #ARGV", "if #ARGV",
		nil, []string{"./pkg/redis", "-run", "^TestState$"},
	},
	"publish before remember": {
		"pkg/engine/batch.go", publishing, "",
		[]mutant{{
			file: "pkg/engine/batch.go", from: "	b.Remember = o.since(&began)\n",
			to: "	b.Remember = o.since(&began)\n" + publishing,
		}}, simulator("2000"),
	},
	"what is on its way is left alone": {
		"pkg/engine/batch.go", "			o.room = wire.Room{} // what was encoded may still be on its way\n", "",
		nil, []string{"./pkg/engine", "-run", "^TestOwnerLeaves"},
	},
	"state keeps copies": {
		"stitch/types.go", "	c := *e\n	return &c\n", "	return e\n",
		nil, []string{"./stitch", "-run", "^TestStateKeepsCopies$"},
	},
	"the claim": {
		"stitch/claims.go", "			return true, false, other\n", "			return false, false, other\n",
		nil, []string{"./stitch/scenarios"},
	},
	"a repeat claims again": {
		"stitch/claims.go", "binary.BigEndian.PutUint32(again[12:], uint32(now/1000))", "_ = now",
		nil, []string{"./stitch/..."},
	},
	"a nameless authority copy waits for every source": {
		"stitch/fact.go", "s.hold(ev, FactHeldAuthority, WaitAll,", "s.hold(ev, FactHeldAuthority, WaitAuthorities,",
		nil, []string{"./stitch"},
	},
	"an order's event ID keeps the first copy's time": {
		"stitch/fact.go", "next.EventID, next.Raw, next.Notes = f.EventID, nil, nil", "next.EventID, next.Raw, next.Notes = factID(s.key.ID, ev.Time), nil, nil",
		nil, []string{"./stitch"},
	},
	"an app corrects itself": {
		"stitch/fact.go", "if !f.Authority && f.changedBy(ev) {", "if false && f.changedBy(ev) {",
		nil, []string{"./stitch/scenarios"},
	},
	"what is once stays once": {
		"stitch/fact.go", "case !ev.Fact.Arbitrate && f.Status == FactPublished:", "case !ev.Fact.Arbitrate && false:",
		nil, []string{"./stitch/scenarios"},
	},
	"a further nameless copy": {
		"stitch/fact.go", "if f.Authority && (nameless || !f.changedBy(ev)) {", "if f.Authority && !f.changedBy(ev) {",
		nil, []string{"./stitch/scenarios"},
	},
	"the window of repeats doesn't slide": {
		"stitch/claims.go", "			return last.Source, true\n", "			e.Collapse[i].Time = ev.Time\n			return last.Source, true\n",
		nil, []string{"./stitch/scenarios"},
	},
	"evidence of one time counts by origin": {
		"stitch/timeline.go", "cmp.Compare(a.Origin, b.Origin), cmp.Compare(a.ID, b.ID),", "cmp.Compare(b.Origin, a.Origin), cmp.Compare(a.ID, b.ID),",
		nil, []string{"./stitch/scenarios"},
	},
	"evidence of one time and origin counts by message ID": {
		"stitch/timeline.go", "cmp.Compare(a.Origin, b.Origin), cmp.Compare(a.ID, b.ID),", "cmp.Compare(a.Origin, b.Origin), cmp.Compare(b.ID, a.ID),",
		nil, []string{"./stitch/scenarios"},
	},
	"young logins are kept": {
		"stitch/limits.go", "d.compact(s.p.Clock-s.p.Rules.SharedAfter, s.timeline())", "d.compact(math.MaxInt64, s.timeline())",
		nil, []string{"./stitch/scenarios"},
	},
	"the circle rule": {
		"stitch/merge.go", "latest := slices.MaxFunc(circle, Edge.compare)", "latest := circle[len(circle)-1]",
		nil, []string{"./stitch/..."},
	},
	"the authority watermark": {
		"stitch/timers.go", "[...]int64{clock, min(clock, authorities), min(clock, all)} {\n		e, ok := t.head", "[...]int64{clock, clock, clock} {\n		e, ok := t.head",
		nil, simulator("20000"),
	},
	"the watermark's barrier: the ends are read after the tick was seen": {
		"pkg/engine/pace.go", "return r.seen != 0 && r.ends == nil", "return r.ends == nil",
		[]mutant{{file: "pkg/engine/pace.go", from: "	if r.ends == nil {\n		return nil", to: "	if r.ends == nil || r.seen == 0 {\n		return nil"}},
		simulator("60000"),
	},
	"a hold ends when its time is past, not reached": {
		"stitch/timers.go", "if ok && e.at < limit &&", "if ok && (e.at < limit || wait > 0 && e.at == limit) &&",
		[]mutant{
			{file: "stitch/timers.go", from: "!ok || head.at >= limits[wait]", to: "!ok || head.at > limits[wait] || wait == 0 && head.at == limits[wait]"},
			{file: "stitch/timers.go", from: "if e.at < limits[wait] &&", to: "if (e.at < limits[wait] || wait > 0 && e.at == limits[wait]) &&"},
		}, []string{"./stitch"},
	},
	"a snapshot copies first what a batch touches": {
		"pkg/engine/snapshot.go", "	if e := o.part.Entity(k); e.Touched != 0 { // else there was none at X", "	if e := o.part.Entity(k); false && e.Touched != 0 {",
		nil, simulator("5000"),
	},
	"a snapshot passes over what was touched": {
		"pkg/engine/snapshot.go", "if _, early := c.early[key]; early {", "if _, early := c.early[key]; false && early {",
		nil, simulator("5000"),
	},
	"a page is read where the state is ours": {
		"pkg/engine/snapshot.go", "	if before != o.pos || after != o.pos {\n		return errAgain\n	}\n	for _, kv", "	_, _ = before, after\n	for _, kv",
		nil, simulator("20000"),
	},
	"timers are read where the state is taken over": {
		"pkg/engine/owner.go", "	if before != head.Position || after != head.Position {\n		return errAgain\n	}\n	waiting", "	_, _ = before, after\n	waiting",
		nil, []string{"./pkg/engine", "-run", "^TestOwnerReadsTimersOfItsHead$"},
	},
	"a torn snapshot counts for nothing": {
		"pkg/engine/restore.go", "	return whole, err\n", "	for _, s := range begun {\n		whole = append(whole, s.Whole)\n	}\n	return whole, err\n",
		nil, simulator("5000"),
	},
	"a snapshot's parts are all there": {
		"pkg/engine/restore.go", "r.Parts == s.Parts && bytes.Equal(r.Digest, s.digest.Sum(nil))", "len(r.Digest) > 0 || bytes.Equal(nil, nil)",
		nil, []string{"./pkg/engine", "-run", "^TestWholes$"},
	},
	"a rebuild that was cut short says so": {
		"pkg/engine/owner.go", "	case h.Applied < 0:\n		return m, \"a rebuild was cut short\", nil\n", "",
		nil, []string{"./pkg/engine", "-run", "^TestOwnerRebuilds$"},
	},
	"the journal reaches back to the state": {
		"pkg/engine/owner.go", "	case h.Applied < start:\n		return m, \"older than the journal reaches\", nil\n", "",
		nil, simulator("20000"),
	},
	"the assignment's fence": {
		"pkg/kafka/log.go", "	g.shut = true\n", "",
		nil, []string{"./pkg/kafka", "-run", "^TestGate"},
	},
	"a newer fold is promoted before it folds": {
		"pkg/engine/owner.go", "	if at.Applied < c {\n		return ErrUnfinished\n	}\n", "",
		nil, []string{"./pkg/engine", "-run", "^TestOwnerPromotes$"},
	},
}

// TestMutants has every mutant fail its test.
func TestMutants(t *testing.T) {
	for name, m := range mutants {
		t.Run(name, func(t *testing.T) {
			out, err := m.run(t)
			switch {
			case err == nil:
				t.Errorf("no test misses it:\n%s", out)
			case strings.Contains(out, "[build failed]"), strings.Contains(out, "[setup failed]"):
				t.Errorf("it doesn't compile:\n%s", out)
			default:
				t.Logf("missed: %s", firstFailure(out))
			}
		})
	}
}

// run runs the mutant's test over a tree in which its file is another.
func (m mutant) run(t *testing.T) (output string, err error) {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(root, m.file)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := string(text)
	for _, r := range append([]mutant{m}, m.also...) {
		if r.file != m.file || strings.Count(changed, r.from) != 1 {
			t.Fatalf("%s: want exactly one %q", r.file, r.from)
		}
		changed = strings.Replace(changed, r.from, r.to, 1)
	}
	other := filepath.Join(t.TempDir(), "mutant.go")
	overlay := filepath.Join(t.TempDir(), "overlay.json")
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {path: other}})
	if err != nil {
		t.Fatal(err)
	}
	for file, content := range map[string][]byte{other: []byte(changed), overlay: replace} {
		if err := os.WriteFile(file, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-overlay", overlay, "-count=1"}, m.test...)...)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// firstFailure is the first line of a test's output that says what is wrong.
func firstFailure(out string) string {
	for line := range strings.Lines(out) {
		if strings.Contains(line, "_test.go:") || strings.HasPrefix(line, "panic:") {
			return strings.TrimSpace(line)
		}
	}
	return strings.TrimSpace(out)
}
