package kafka

import (
	"context"
	"flag"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"
)

var (
	virtualSeeds = flag.Uint64("virtual.seeds", 4, "seeds of the schedules in virtual time")
	virtualSeed  = flag.Uint64("virtual.seed", 1, "the first of them")
)

// TestVirtual builds this package's tests again with franz-go's tag for virtual
// time, and runs TestVirtualTime. Without the tag its clients wait for locks in a way
// that lets no virtual time pass.
func TestVirtual(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds franz-go again")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "test", "-tags", "synctests", "-count=1", "-timeout=1h", "-v", "-run", "^TestVirtualTime$", ".",
		fmt.Sprintf("-virtual.seed=%d", *virtualSeed), fmt.Sprintf("-virtual.seeds=%d", *virtualSeeds))
	out, err := cmd.CombinedOutput()
	if text := string(out); err != nil || !strings.Contains(text, "--- PASS: TestVirtualTime") {
		t.Fatalf("%v\n%s", err, text)
	}
	t.Logf("%s", out)
}
