package parts

import (
	"context"
	"crypto/sha256"
	_ "embed" // the broker's pom.xml
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

//go:embed pom.xml
var pom []byte

// cacheDir is where the broker's jars are kept between runs, outside the tree.
func cacheDir() (string, error) {
	if dir := os.Getenv("LOCKSTITCH_E2E_CACHE"); dir != "" {
		return dir, nil
	}
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "lockstitch-e2e"), err
}

// KafkaLibs gives the folder with the broker's jars, fetched with Maven when
// this version of pom.xml was never fetched before (about 54 MB).
func KafkaLibs(ctx context.Context) (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", fmt.Errorf("no folder for the broker's jars, set LOCKSTITCH_E2E_CACHE: %w", err)
	}
	libs := filepath.Join(cache, fmt.Sprintf("kafka-%x", sha256.Sum256(pom))[:22])
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	unlock, err := lock(libs + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(libs); err == nil {
		return libs, nil
	}
	return libs, fetch(ctx, libs)
}

// lock keeps other processes out: go test runs packages side by side, and each
// may be the first to want the jars.
func lock(name string) (unlock func(), err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("locking %s: %w", name, err), f.Close())
	}
	return func() { _ = f.Close() }, nil
}

// fetch has Maven copy the jars beside libs and renames them when they are all
// there, so that a broken fetch leaves nothing that looks whole.
func fetch(ctx context.Context, libs string) error {
	tmp, err := os.MkdirTemp(filepath.Dir(libs), "fetch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	file, out := filepath.Join(tmp, "pom.xml"), filepath.Join(tmp, "libs")
	if err := os.WriteFile(file, pom, 0o644); err != nil {
		return err
	}
	mvn := exec.CommandContext(ctx, "mvn", "-q", "-B", "-f", file,
		"dependency:copy-dependencies", "-DoutputDirectory="+out)
	if text, err := mvn.CombinedOutput(); err != nil {
		return fmt.Errorf("fetching the broker's jars with Maven: %w\n%s", err, text)
	}
	return os.Rename(out, libs)
}
