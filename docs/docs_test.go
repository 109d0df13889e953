package docs_test

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"lockstitch/pkg/config"
	"lockstitch/pkg/metrics"
)

var update = flag.Bool("update", false, "write configuration.md anew")

// root is the repository's, as seen from this package's folder.
const root = ".."

const configurationHead = `# Configuration

One YAML file, given with ` + "`--config`" + `. This is what ` + "`lockstitch config show --reference`" + ` prints: every field, its default, and what it does.
` + "`lockstitch config lint --config FILE`" + ` checks a file, ` + "`lockstitch config show --config FILE`" + ` prints what is in force, without secrets.

`

func TestConfigurationIsTheReference(t *testing.T) {
	want := configurationHead + "```yaml\n" + string(config.Reference()) + "```\n"
	if *update {
		if err := os.WriteFile("configuration.md", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want, read(t, "configuration.md")); diff != "" {
		t.Errorf("configuration.md differs from the code, run: go test ./docs -update\n(-want +got):\n%s", diff)
	}
}

// TestExampleIsWhatTrySays runs the command as a reader of README.md would.
func TestExampleIsWhatTrySays(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "run", "./cmd/lockstitch", "try", "docs/example.jsonl")
	cmd.Dir = root
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, errs.Bytes())
	}
	table, _, _ := strings.Cut(string(out), "\n\n")
	_, rest, _ := strings.Cut(read(t, root+"/README.md"), "<!-- example -->\n```\n")
	example, _, _ := strings.Cut(rest, "\n```\n")
	if diff := cmp.Diff(table, example); diff != "" {
		t.Errorf("README.md's example differs from what try prints (-try +README.md):\n%s", diff)
	}
}

func TestRunbookNamesEveryMetric(t *testing.T) {
	text := read(t, "runbook.md")
	descs := make(chan *prometheus.Desc)
	go func() {
		defer close(descs)
		metrics.New(metrics.Options{}).Registry().Describe(descs)
	}()
	ours := regexp.MustCompile(`fqName: "(lockstitch_[a-z_]+)"`)
	found := 0
	for d := range descs {
		m := ours.FindStringSubmatch(d.String())
		if m == nil {
			continue
		}
		found++
		if !strings.Contains(text, "`"+m[1]+"`") {
			t.Errorf("runbook.md doesn't name the metric %s", m[1])
		}
	}
	if found == 0 {
		t.Error("no metric of ours is registered: is this test blind?")
	}
}

// TestDependenciesAreExplained: each module that a package imports itself has a
// row in dependencies.md.
func TestDependenciesAreExplained(t *testing.T) {
	const imports = `{{join .Imports "\n"}}{{"\n"}}{{join .TestImports "\n"}}{{"\n"}}{{join .XTestImports "\n"}}`
	cmd := exec.CommandContext(t.Context(), "go", "list", "-tags", "e2e", "-f", imports, "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v", cmd, err)
	}
	var rows []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)`").FindAllStringSubmatch(read(t, "dependencies.md"), -1) {
		rows = append(rows, m[1])
	}
	for pkg := range strings.FieldsSeq(string(out)) {
		host, _, _ := strings.Cut(pkg, "/")
		if !strings.Contains(host, ".") {
			continue // the standard library, and our own
		}
		explained := func(module string) bool { return pkg == module || strings.HasPrefix(pkg, module+"/") }
		if !slices.ContainsFunc(rows, explained) {
			t.Errorf("dependencies.md has no row for %s", pkg)
		}
	}
}

func TestLinksLeadSomewhere(t *testing.T) {
	checked := 0
	for _, file := range markdown(t) {
		for _, link := range links(read(t, file)) {
			checked++
			if err := follow(t, file, link); err != nil {
				t.Errorf("%s: link %s: %v", file, link, err)
			}
		}
	}
	if checked == 0 {
		t.Error("no link found: is this test blind?")
	}
}

// markdown returns every *.md of the repository.
func markdown(t *testing.T) (files []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && path != root && strings.HasPrefix(d.Name(), ".") {
			return fs.SkipDir
		}
		if strings.HasSuffix(path, ".md") {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

var (
	fenced  = regexp.MustCompile("(?ms)^```.*?^```$")
	target  = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	scheme  = regexp.MustCompile(`^[a-z]+:`)
	heading = regexp.MustCompile(`(?m)^#+ +(.+)$`)
	symbols = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// links returns the targets of a document's links that stay in the repository.
func links(text string) (all []string) {
	for _, m := range target.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
		if !scheme.MatchString(m[1]) {
			all = append(all, m[1])
		}
	}
	return all
}

// follow says why a link from file leads nowhere.
func follow(t *testing.T, file, link string) error {
	t.Helper()
	name, anchor, _ := strings.Cut(link, "#")
	path := file
	if name != "" {
		path = filepath.Join(filepath.Dir(file), name)
	}
	if _, err := os.Stat(path); err != nil {
		return err
	}
	if anchor != "" && !slices.Contains(anchors(read(t, path)), anchor) {
		return fmt.Errorf("%s has no heading for #%s", path, anchor)
	}
	return nil
}

// anchors are a document's headings as they stand in links.
func anchors(text string) (all []string) {
	for _, m := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
		all = append(all, strings.ReplaceAll(symbols.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-"))
	}
	return all
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
