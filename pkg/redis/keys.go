package redis

import (
	"strconv"
	"strings"
)

// keys makes every key name. <prefix> is the configured one, <p> the number of
// the journal partition: as hash tag it puts all of its keys into one slot.
//
//	<prefix>:environment         string: the environment whose state this is
//	<prefix>:{<p>}:head          hash: gen, applied, logic, meta, layout; sweep while other generations may be left
//	<prefix>:{<p>}:<gen>:t       hash: entity key → timer, as <at>:<wait>
//	<prefix>:{<p>}:<gen>:e:<page> hash: entity key → its state
//
// A generation has no colon, a prefix has no brace: no two things have one name.
type keys struct{ prefix string }

func (k keys) environment() string { return k.prefix + ":environment" }

func (k keys) partition(p int32) string {
	return k.prefix + ":{" + strconv.Itoa(int(p)) + "}:"
}

func (k keys) head(p int32) string { return k.partition(p) + "head" }

func (k keys) timers(p int32, gen string) string { return k.partition(p) + gen + ":t" }

// page is one page of a generation's entities (engine.PageOf).
func (k keys) page(p int32, gen string, page int) string {
	return k.partition(p) + gen + ":e:" + strconv.Itoa(page)
}

// layout is the version of all this, kept in the head: a program with another
// one would find no entities where there are many.
const layout = "3"

// pattern matches all keys of partitions, for SCAN.
func (k keys) pattern() string { return k.prefix + ":{*}:*" }

// parse returns the partition and the generation of a key that belongs to one;
// ok is false for heads and for what isn't ours.
func (k keys) parse(key string) (p int32, gen string, ok bool) {
	rest, ok := strings.CutPrefix(key, k.prefix+":{")
	if !ok {
		return 0, "", false
	}
	number, rest, _ := strings.Cut(rest, "}:")
	n, err := strconv.ParseInt(number, 10, 32)
	if err != nil {
		return 0, "", false
	}
	gen, rest, ok = strings.Cut(rest, ":")
	if !ok || rest != "t" && !strings.HasPrefix(rest, "e:") {
		return 0, "", false
	}
	return int32(n), gen, true
}

// isGeneration says whether s can name a generation.
func isGeneration(s string) bool { return s != "" && !strings.Contains(s, ":") }

// isPrefix says whether s can be a prefix: letters, digits and . _ - only, at
// least one. A brace would take the hash tag's place, and the rest has a meaning
// in SCAN's patterns.
func isPrefix(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("._-", r))
	}) < 0
}
