package ledger

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"lockstitch/stitch"
)

func TestCompare(t *testing.T) {
	want := []Entry{{1, 0, 10}, {1, 1, 11}, {4, 0, 12}}
	for _, c := range []struct {
		name string
		got  []Entry
		diff Difference
	}{
		{"as it should be", want, Difference{Same: 3}},
		{"in another order", []Entry{{4, 0, 12}, {1, 1, 11}, {1, 0, 10}}, Difference{Same: 3}},
		{"a repeat", []Entry{{1, 0, 10}, {1, 1, 11}, {1, 0, 10}, {1, 0, 10}, {4, 0, 12}}, Difference{Same: 3, Repeats: 2}},
		{"the first is lost", want[1:], Difference{Same: 2, Lost: 1, Places: []string{"lost: s/0/1/0"}}},
		{"one in the middle is lost", []Entry{{1, 0, 10}, {4, 0, 12}}, Difference{Same: 2, Lost: 1, Places: []string{"lost: s/0/1/1"}}},
		{"the last is lost", want[:2], Difference{Same: 2, Lost: 1, Places: []string{"lost: s/0/4/0"}}},
		{"all are lost", nil, Difference{Lost: 3, Places: []string{"lost: s/0/1/0", "lost: s/0/1/1", "lost: s/0/4/0"}}},
		{"one too many before", []Entry{{0, 3, 9}, {1, 0, 10}, {1, 1, 11}, {4, 0, 12}}, Difference{Same: 3, Extra: 1, Places: []string{"not to be there: s/0/0/3"}}},
		{"one too many after", []Entry{{1, 0, 10}, {1, 1, 11}, {4, 0, 12}, {4, 1, 1}}, Difference{Same: 3, Extra: 1, Places: []string{"not to be there: s/0/4/1"}}},
		{"other bytes beside the right ones", []Entry{{1, 0, 10}, {1, 0, 99}, {1, 1, 11}, {4, 0, 12}}, Difference{Same: 3, Conflicts: 1, Places: []string{"other bytes: s/0/1/0"}}},
		{"other bytes alone", []Entry{{1, 0, 10}, {1, 1, 99}, {4, 0, 12}}, Difference{Same: 2, Lost: 1, Conflicts: 1, Places: []string{"other bytes: s/0/1/1", "lost: s/0/1/1"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := New()
			for _, e := range c.got {
				l.Add("s/0", e.Offset, e.Index, e.Sum)
			}
			l.Add("s/1", 1, 0, 10)
			compared := l.Compare("s/0")
			for _, e := range want {
				compared.Want(e)
			}
			got := compared.End()
			if diff := cmp.Diff(c.diff, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got.Clean() != (c.diff.Lost+c.diff.Extra+c.diff.Conflicts == 0) {
				t.Errorf("clean: %v", got.Clean())
			}
			if diff := cmp.Diff([]string{"s/1"}, l.Left()); diff != "" {
				t.Errorf("what nobody asked for (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSumTellsRecordsApart(t *testing.T) {
	header := func(k, v string) []stitch.Header { return []stitch.Header{{Key: k, Value: []byte(v)}} }
	sums := map[uint64]string{}
	for name, sum := range map[string]uint64{
		"record":        SumRecord("t", []byte("k"), []byte("v"), header("a", "b")),
		"topic":         SumRecord("u", []byte("k"), []byte("v"), header("a", "b")),
		"key":           SumRecord("t", []byte("l"), []byte("v"), header("a", "b")),
		"no key":        SumRecord("t", nil, []byte("v"), header("a", "b")),
		"empty key":     SumRecord("t", []byte{}, []byte("v"), header("a", "b")),
		"moved border":  SumRecord("t", []byte("kv"), []byte(""), header("a", "b")),
		"header":        SumRecord("t", []byte("k"), []byte("v"), header("a", "c")),
		"header's name": SumRecord("t", []byte("k"), []byte("v"), header("b", "b")),
		"no header":     SumRecord("t", []byte("k"), []byte("v"), nil),
	} {
		if other, ok := sums[sum]; ok {
			t.Errorf("%s and %s have one sum", name, other)
		}
		sums[sum] = name
	}
}

func TestParse(t *testing.T) {
	place := stitch.Place{Sender: "abc", Partition: 3, Offset: 1 << 40, Index: 7}
	from, offset, index, err := Parse(place.String())
	if err != nil || from != place.From() || offset != place.Offset || index != place.Index {
		t.Errorf("%s is read as %s, %d, %d, %v", place, from, offset, index, err)
	}
	for _, text := range []string{"", "a/b/c", "a/0/x/0", "a/0/1/99999999999", "/0/1/2", "a/0/1/2/3"} {
		if _, _, _, err := Parse(text); err == nil {
			t.Errorf("%q is taken for a place", text)
		}
	}
}
