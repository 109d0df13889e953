package parts

import (
	"errors"
	"fmt"
	"os/exec"
)

// tools are the programs that the parts are made of, and where each comes from.
var tools = [...]struct{ program, install string }{
	{"java", "a Java runtime, 17 or later (Debian: apt-get install default-jre-headless)"},
	{"mvn", "Maven, which fetches the broker's jars once (Debian: apt-get install maven)"},
	{"redis-server", "Redis 7 (Debian: apt-get install redis-server)"},
	{"redis-cli", "Redis's own client, which makes clusters (Debian: comes with redis-server)"},
	{"kcat", "kcat (Debian: apt-get install kcat)"},
}

// Missing says which programs the parts need and this machine lacks, and what
// to install; nil when all are there.
func Missing() error {
	var missing []error
	for _, tool := range tools {
		if _, err := exec.LookPath(tool.program); err != nil {
			missing = append(missing, fmt.Errorf("%s is not on the PATH: install %s", tool.program, tool.install))
		}
	}
	return errors.Join(missing...)
}

// Need fails the test where a program is missing. It never skips: an end-to-end
// test that did not run has shown nothing.
func Need(t interface {
	Helper()
	Fatalf(format string, args ...any)
}) {
	t.Helper()
	if err := Missing(); err != nil {
		t.Fatalf("the end-to-end tests need real parts:\n%v", err)
	}
}
