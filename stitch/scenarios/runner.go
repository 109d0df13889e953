package scenarios

import (
	"bufio"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"sort"
	"strconv"
	"strings"
	"time"

	"lockstitch/pkg/try"
	"lockstitch/pkg/wire"
	"lockstitch/stitch"
	"lockstitch/stitch/plan"
)

//go:embed *.txt
var files embed.FS

// Names lists the scenario files.
func Names() ([]string, error) { return fs.Glob(files, "*.txt") }

// Read returns a scenario file's text.
func Read(name string) (string, error) {
	b, err := files.ReadFile(name)
	return string(b), err
}

// Scenario is one parsed file.
type Scenario struct {
	Lines      []try.Line
	Rules      stitch.Rules
	Ingest     wire.IngestOptions
	Partitions int
	Head       string // the text up to and with the line of dashes
	Want       string // the text after it
}

// day0 is the day of times without one.
var day0 = time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)

// Topics are the contract's four sources, trusted as the default configuration has it.
func Topics() map[string]wire.SourceRule {
	all := wire.Trust{Alias: true, Delete: true, Suppress: true, Split: true}
	return map[string]wire.SourceRule{
		"events.app": {Origin: "app"}, "events.web": {Origin: "web"},
		"events.server": {Origin: "server", Trust: all}, "events.commerce": {Origin: "commerce"},
	}
}

// Parse reads a scenario.
func Parse(text string) (*Scenario, error) {
	head, want, ok := strings.Cut(text, "\n---\n")
	if !ok {
		return nil, fmt.Errorf("no line of three dashes between events and what comes out")
	}
	s := &Scenario{
		Head: head + "\n---\n", Want: want, Rules: stitch.DefaultRules(), Partitions: 3,
		Ingest: wire.IngestOptions{Plan: plan.Default(), Sources: Topics()},
	}
	sc := bufio.NewScanner(strings.NewReader(head))
	sc.Buffer(nil, 4<<20)
	for n := 1; sc.Scan(); n++ {
		line := strings.TrimSpace(sc.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := s.parseLine(line); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	return s, sc.Err()
}

func (s *Scenario) parseLine(line string) error {
	if rest, ok := strings.CutPrefix(line, "set "); ok {
		return s.set(rest)
	}
	at, rest, _ := strings.Cut(line, " ")
	source, rest, ok := strings.Cut(strings.TrimSpace(rest), " ")
	if !ok {
		return fmt.Errorf("want TIME SOURCE WHAT …")
	}
	l := try.Line{Topic: "events." + source}
	if at != "-" {
		t, err := parseTime(at)
		if err != nil {
			return err
		}
		l.Time = t
	}
	what, rest := word(strings.TrimSpace(rest))
	if what == "raw" {
		l.Value = []byte(rest)
		s.Lines = append(s.Lines, l)
		return nil
	}
	var err error
	if l.Value, l.Key, err = s.event(what, rest, s.arrival(l)); err != nil {
		return err
	}
	s.Lines = append(s.Lines, l)
	return nil
}

// arrival is when the line arrives.
func (s *Scenario) arrival(l try.Line) time.Time {
	for i := len(s.Lines) - 1; l.Time.IsZero() && i >= 0; i-- {
		l.Time = s.Lines[i].Time
	}
	if l.Time.IsZero() {
		return day0
	}
	return l.Time
}

// set handles the settings that scenarios use.
func (s *Scenario) set(text string) (err error) {
	name, value, _ := strings.Cut(text, " ")
	number, _ := strconv.Atoi(value)
	switch name {
	case "partitions":
		s.Partitions = number
	case "max_customers":
		s.Rules.MaxCustomers = number
	case "max_devices":
		s.Rules.MaxDevices = number
	case "shared_device":
		s.Rules.LastLogin = value == "last_login"
	case "unusable_user_id":
		s.Ingest.UnusableUserIDAbsent = value == "absent"
	case "unusable_user_ids":
		s.Ingest.UnusableUserIDs = strings.Fields(value)
	case "temporary_user_ids":
		s.Ingest.TemporaryUserIDs = strings.Fields(value)
	case "keep_times":
		s.Ingest.KeepTimes = value == "true"
	case "logout_events":
		s.Ingest.LogoutEvents = strings.Fields(value)
	case "shop":
		topic, shop, _ := strings.Cut(value, " ")
		rule := s.Ingest.Sources["events."+topic]
		rule.Shop = shop
		s.Ingest.Sources["events."+topic] = rule
	case "plan":
		s.Ingest.Plan, err = plan.Parse([]byte(strings.ReplaceAll(value, `\n`, "\n")))
	default:
		return fmt.Errorf("no setting %q", name)
	}
	return err
}

func parseTime(text string) (time.Time, error) {
	day := day0
	if rest, ok := strings.CutPrefix(text, "+"); ok {
		n, clock, ok := strings.Cut(rest, "d")
		days, err := strconv.Atoi(n)
		if !ok || err != nil {
			return day, fmt.Errorf("time %q: want +DAYSdHH:MM", text)
		}
		day, text = day.AddDate(0, 0, days), clock
	}
	for _, layout := range []string{"15:04", "15:04:05"} {
		if t, err := time.Parse(layout, text); err == nil {
			return day.Add(time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute +
				time.Duration(t.Second())*time.Second + time.Duration(t.Nanosecond())), nil
		}
	}
	return day, fmt.Errorf("time %q: want HH:MM or HH:MM:SS", text)
}

// word cuts the first word, or the first quoted text.
func word(text string) (first, rest string) {
	if strings.HasPrefix(text, `"`) {
		if end := strings.Index(text[1:], `"`); end >= 0 {
			return text[1 : 1+end], strings.TrimSpace(text[end+2:])
		}
	}
	first, rest, _ = strings.Cut(text, " ")
	return first, strings.TrimSpace(rest)
}

// event builds the record's JSON.
func (s *Scenario) event(what, rest string, arrival time.Time) (value []byte, key string, err error) {
	ev := map[string]any{
		"type": what, "messageId": "m" + strconv.Itoa(len(s.Lines)+1),
		"timestamp": arrival.Format(time.RFC3339Nano),
	}
	bag := "properties"
	switch what {
	case "identify":
		bag = "traits"
	case "alias", "page", "screen", "group":
	default:
		ev["type"], ev["event"] = "track", what
	}
	for rest != "" {
		var pair string
		pair, rest = nextPair(rest)
		k, v, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, "", fmt.Errorf("%q: want KEY=VALUE", pair)
		}
		if err := s.field(ev, bag, k, v, arrival); err != nil {
			return nil, "", err
		}
	}
	for _, k := range []string{"anonymousId", "userId"} {
		if id, ok := ev[k].(string); ok && key == "" {
			key = id
		}
	}
	value, err = json.Marshal(ev)
	return value, key, err
}

// nextPair cuts the next KEY=VALUE; a value that is JSON may hold blanks.
func nextPair(text string) (pair, rest string) {
	eq := strings.IndexByte(text, '=')
	if eq >= 0 && eq+1 < len(text) && strings.ContainsRune(`{["`, rune(text[eq+1])) {
		dec := json.NewDecoder(strings.NewReader(text[eq+1:]))
		var v any
		if dec.Decode(&v) == nil {
			end := eq + 1 + int(dec.InputOffset())
			return text[:end], strings.TrimSpace(text[end:])
		}
	}
	pair, rest, _ = strings.Cut(text, " ")
	return pair, strings.TrimSpace(rest)
}

func (s *Scenario) field(ev map[string]any, bag, k, v string, arrival time.Time) error {
	switch k {
	case "anon":
		ev["anonymousId"] = parseValue(v)
	case "user":
		ev["userId"] = parseValue(v)
	case "prev":
		ev["previousId"] = parseValue(v)
	case "id":
		setOrDrop(ev, "messageId", v)
	case "name":
		ev["name"] = parseValue(v)
	case "at":
		if v == "-" {
			delete(ev, "timestamp")
			return nil
		}
		t, err := parseTime(v)
		if err != nil {
			return err
		}
		ev["timestamp"] = t.Format(time.RFC3339Nano)
	case "token", "device", "platform":
		name := map[string]string{"token": "token", "device": "id", "platform": "type"}[k]
		put(ev, "context.device."+name, parseValue(v))
	default:
		if rest, ok := strings.CutPrefix(k, "ctx."); ok {
			put(ev, "context."+rest, parseValue(v))
		} else if rest, ok := strings.CutPrefix(k, "top."); ok {
			put(ev, rest, parseValue(v))
		} else {
			put(ev, bag+"."+k, parseValue(v))
		}
	}
	return nil
}

func setOrDrop(ev map[string]any, k, v string) {
	if v == "-" {
		delete(ev, k)
		return
	}
	ev[k] = parseValue(v)
}

// put sets a value at a dotted path.
func put(m map[string]any, path string, v any) {
	for {
		k, rest, more := strings.Cut(path, ".")
		if !more {
			m[k] = v
			return
		}
		next, ok := m[k].(map[string]any)
		if !ok {
			next = map[string]any{}
			m[k] = next
		}
		m, path = next, rest
	}
}

func parseValue(v string) any {
	dec := json.NewDecoder(strings.NewReader(v))
	dec.UseNumber()
	var out any
	if dec.Decode(&out) == nil && !dec.More() {
		return out
	}
	return v
}

// Run runs the scenario on the core and returns what comes out, as text.
func (s *Scenario) Run() (string, error) {
	in, err := wire.NewIngest(s.Ingest)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	lines := func(yield func(try.Line, error) bool) {
		for _, l := range s.Lines {
			if !yield(l, nil) {
				return
			}
		}
	}
	err = try.Run(lines, try.Options{Ingest: in, Rules: s.Rules, Partitions: s.Partitions}, func(o *stitch.Output) error {
		b.WriteString(Show(o) + "\n")
		return nil
	})
	return b.String(), err
}

// Show is an output as a line of a scenario.
func Show(o *stitch.Output) string {
	switch {
	case o.Sink != nil:
		return short(o.Sink.Source) + " -> " + showSink(o.Sink)
	case o.Dead != nil:
		return short(o.Dead.Source) + " !! " + reasons(o.Dead)
	}
	d := o.Decision
	mark := map[string]string{"outcome": "::", "identity": "~~", "note": ".."}[d.Kind]
	line := short(d.Source) + " " + mark + " " + d.Outcome
	if d.Reason != "" {
		line += " " + d.Reason
	}
	if d.Other != "" {
		line += " other=" + strings.TrimPrefix(strings.Replace(d.Other, "/0/", "/", 1), "events.")
	}
	if d.Key != "" {
		line += " key=" + d.Key
	}
	return line
}

func reasons(d *stitch.DeadLetter) string {
	seen := map[string]bool{}
	var all []string
	for _, r := range d.Rejects {
		if !seen[r.Reason] {
			seen[r.Reason] = true
			all = append(all, r.Reason)
		}
	}
	sort.Strings(all)
	return strings.Join(all, " ")
}

func showSink(k *stitch.Sink) string {
	line := person(k.Person) + " (" + k.Why.String() + ") " + string(k.Action)
	if k.Name != "" {
		line += " " + strconv.Quote(k.Name)
	}
	if k.Action == stitch.ActMerge {
		line += " of " + person(k.Secondary)
	}
	if k.Device != nil {
		line += " " + k.Device.Token
	}
	if k.Order != "" {
		line += " order=" + k.Order
	}
	if k.Corrects != "" {
		line += " corrects=" + short2(k.Corrects)
	}
	if k.Anonymous != "" {
		line += " ties=" + k.Anonymous
	}
	if k.Email != "" {
		line += " email=" + k.Email
	}
	if len(k.Attributes) > 2 {
		line += " " + string(k.Attributes)
	}
	return line
}

func person(p stitch.Person) string {
	switch {
	case p.ID != "":
		return "customer " + p.ID
	case p.Email != "":
		return "address " + p.Email
	}
	return "anonymous " + p.Anonymous
}

// short is a source position without what is the same in all of them.
func short(s stitch.Source) string { return short2(s.String()) }

func short2(s string) string {
	return strings.Replace(strings.TrimPrefix(s, "events."), "/0/", "/", 1)
}
