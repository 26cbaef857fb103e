package fatal

import (
	"os"
	"path/filepath"
	"testing"
)

func TestUnlink(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		Add(p)
		return p
	}
	file("a")
	kept := file("kept")
	Forget(kept)
	if err := Unlink(file("now")); err != nil {
		t.Error(err)
	}
	UnlinkAll()
	left, _ := os.ReadDir(dir)
	if len(left) != 1 || left[0].Name() != "kept" {
		t.Errorf("left: %v", left)
	}
}
