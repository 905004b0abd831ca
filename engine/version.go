package engine

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// formatVersion is what the file VERSION of a data directory holds, see docs/format.md.
const formatVersion = "collector 1\n"

// checkVersion reads VERSION, or writes it into a directory that has none.
func checkVersion(fsys vfs.FS, dir string) error {
	path := fsys.PathJoin(dir, "VERSION")
	file, err := fsys.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return writeVersion(fsys, dir)
	}
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	text, err := io.ReadAll(io.LimitReader(file, 256))
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if string(text) != formatVersion {
		return fmt.Errorf("%s says %q, this collector reads %q only: use the collector that wrote it, or another data directory",
			path, strings.TrimSpace(string(text)), strings.TrimSpace(formatVersion))
	}
	return nil
}

// writeVersion makes VERSION appear whole or not at all.
func writeVersion(fsys vfs.FS, dir string) error {
	path, temporary := fsys.PathJoin(dir, "VERSION"), fsys.PathJoin(dir, "VERSION.new")
	file, err := fsys.Create(temporary, vfs.WriteCategoryUnspecified)
	if err != nil {
		return fmt.Errorf("create %s: %w", temporary, err)
	}
	_, err = file.Write([]byte(formatVersion))
	if err == nil {
		err = file.Sync()
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = fsys.Rename(temporary, path)
	}
	if err == nil {
		err = syncDir(fsys, dir)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// makeDir makes a directory whose name survives a crash. Folders above it that it has to make do too.
func makeDir(fsys vfs.FS, dir string) error {
	if _, err := fsys.Stat(dir); err == nil {
		return nil
	}
	parent := fsys.PathDir(dir)
	if parent != dir && parent != "." {
		if err := makeDir(fsys, parent); err != nil {
			return err
		}
	}
	if err := fsys.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return syncDir(fsys, parent)
}

// syncDir makes the names in a directory durable.
func syncDir(fsys vfs.FS, dir string) error {
	handle, err := fsys.OpenDir(dir)
	if err != nil {
		return err
	}
	err = handle.Sync()
	if closeErr := handle.Close(); err == nil {
		err = closeErr
	}
	return err
}
