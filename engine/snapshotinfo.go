package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/flopynet/collector/wal"
)

// descriptionName is the file that describes a snapshot, in its folder, see docs/format.md.
const descriptionName = "SNAPSHOT"

// maxDescriptionBytes is above the size of any description.
const maxDescriptionBytes = 4 << 10

// snapshotFile is what the file holds, as JSON. The checksum is of the text of snapshot.
type snapshotFile struct {
	Snapshot json.RawMessage `json:"snapshot"`
	CRC32C   string          `json:"crc32c"`
}

type snapshotFields struct {
	Name    string    `json:"name"`
	Created time.Time `json:"created"`
	LSN     wal.LSN   `json:"lsn"`
	Bytes   int64     `json:"bytes"`
}

func encodeSnapshotInfo(info SnapshotInfo) ([]byte, error) {
	fields, err := json.Marshal(snapshotFields{Name: info.Name, Created: info.Created, LSN: info.LSN, Bytes: info.Bytes})
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(snapshotFile{Snapshot: fields, CRC32C: textSum(fields)})
	return append(text, '\n'), err
}

// decodeSnapshotInfo is the inverse of encodeSnapshotInfo, but for the path. Errors are ErrCorrupt.
func decodeSnapshotInfo(text []byte) (SnapshotInfo, error) {
	var file snapshotFile
	var fields snapshotFields
	err := json.Unmarshal(text, &file)
	if err == nil && textSum(file.Snapshot) != file.CRC32C {
		err = errors.New("its checksum is wrong")
	}
	if err == nil {
		err = json.Unmarshal(file.Snapshot, &fields)
	}
	if err != nil {
		return SnapshotInfo{}, fmt.Errorf("%w: the file %s: %w", ErrCorrupt, descriptionName, err)
	}
	return SnapshotInfo{Name: fields.Name, Created: fields.Created, LSN: fields.LSN, Bytes: fields.Bytes}, nil
}

func textSum(text []byte) string { return fmt.Sprintf("%08x", crc32.Checksum(text, castagnoli)) }

// writeSnapshotInfo makes the file, which is durable once the folder is synced.
func writeSnapshotInfo(fsys vfs.FS, dir string, info SnapshotInfo) error {
	text, err := encodeSnapshotInfo(info)
	if err != nil {
		return err
	}
	file, err := fsys.Create(fsys.PathJoin(dir, descriptionName), vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	if _, err = file.Write(text); err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// readSnapshotInfo reads the file. Errors are ErrCorrupt and those of the disk.
func readSnapshotInfo(fsys vfs.FS, dir string) (SnapshotInfo, error) {
	file, err := fsys.Open(fsys.PathJoin(dir, descriptionName))
	if err != nil {
		return SnapshotInfo{}, err
	}
	text, err := io.ReadAll(io.LimitReader(file, maxDescriptionBytes))
	if err := errors.Join(err, file.Close()); err != nil {
		return SnapshotInfo{}, err
	}
	return decodeSnapshotInfo(bytes.TrimSpace(text))
}
