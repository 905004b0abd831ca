package engine

import (
	"io"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// crashableMem is Pebble's crashable file system in memory without a deadlock that it has: Link, ReuseForWrite and
// Lock take its clone lock for reading twice, and a CrashClone that begins in between waits for the first and is
// waited for by the second. Here a clone doesn't begin while one of them goes on.
type crashableMem struct {
	*vfs.MemFS
	cloning sync.RWMutex
}

func newCrashableMem() *crashableMem { return &crashableMem{MemFS: vfs.NewCrashableMem()} }

// CrashClone returns what a crash would leave.
func (m *crashableMem) CrashClone(config vfs.CrashCloneCfg) *crashableMem {
	m.cloning.Lock()
	defer m.cloning.Unlock()
	return &crashableMem{MemFS: m.MemFS.CrashClone(config)}
}

// Link implements vfs.FS, as the methods below do.
func (m *crashableMem) Link(from, to string) error {
	m.cloning.RLock()
	defer m.cloning.RUnlock()
	return m.MemFS.Link(from, to)
}

func (m *crashableMem) ReuseForWrite(from, to string, category vfs.DiskWriteCategory) (vfs.File, error) {
	m.cloning.RLock()
	defer m.cloning.RUnlock()
	return m.MemFS.ReuseForWrite(from, to, category)
}

func (m *crashableMem) Lock(name string) (io.Closer, error) {
	m.cloning.RLock()
	defer m.cloning.RUnlock()
	return m.MemFS.Lock(name)
}

func TestCrashableMemIsClonedWhileFilesAreReused(t *testing.T) {
	fs := newCrashableMem()
	file, err := fs.Create("a", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	var cloner sync.WaitGroup
	cloner.Go(func() {
		for range 2000 {
			fs.CrashClone(vfs.CrashCloneCfg{})
		}
	})
	for i := range 2000 {
		from, to := "a", "b"
		if i%2 == 1 {
			from, to = to, from
		}
		file, err := fs.ReuseForWrite(from, to, vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
	cloner.Wait()
}
