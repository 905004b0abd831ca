package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
)

// The file of changes is one JSON object: "changes", and the CRC32C of their compact form in hexadecimal.
type changesFile struct {
	CRC32C  string            `json:"crc32c"`
	Changes map[string]change `json:"changes"`
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksum is that of the changes as encoding/json writes them: keys in order, no white space.
func checksum(changes map[string]change) string {
	return fmt.Sprintf("%08x", crc32.Checksum(marshal(changes), castagnoli))
}

// readChanges returns what the file holds; nothing if there is none.
func readChanges(path string) (map[string]change, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]change{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading what was changed through the API: %w", err)
	}
	var file changesFile
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("%s, which holds what was changed through the API, is damaged: %w; remove it, start, and change the settings again", path, err)
	}
	if file.Changes == nil {
		file.Changes = map[string]change{}
	}
	if want := checksum(file.Changes); file.CRC32C != want {
		return nil, fmt.Errorf("%s, which holds what was changed through the API, is damaged or was edited: its checksum is %q, not %q; "+
			"remove it, start, and change the settings again", path, file.CRC32C, want)
	}
	return file.Changes, nil
}

// writeChanges replaces the file durably: after a crash it is the one before or this one.
func writeChanges(path string, changes map[string]change) error {
	text, err := json.MarshalIndent(changesFile{CRC32C: checksum(changes), Changes: changes}, "", "  ")
	if err != nil {
		return err
	}
	temporary := path + ".new"
	if err := writeSynced(temporary, append(text, '\n')); err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func writeSynced(path string, text []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// syncDir makes the names in a folder durable.
func syncDir(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
