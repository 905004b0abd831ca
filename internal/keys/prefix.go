package keys

// The first byte of every key. Numbers are grouped by what the data is: 0x state of the whole store and
// its catalogue, 1x index, 2x samples, 3x events, 4x what belongs to the log, 5x other small state.
// A number, once used, keeps its meaning for ever.
const (
	// PrefixMeta: few, small and read first, so they come first.
	// name
	PrefixMeta byte = 0x00

	// PrefixPartition: what is true of a partition as a whole, apart from its data, so that the list of
	// partitions is one short scan.
	// tier part
	PrefixPartition byte = 0x01

	// PrefixSeries: the catalogue. By id alone, because an answer turns ascending ids into tags, and
	// once for all partitions, because tags do not change.
	// seriesID
	PrefixSeries byte = 0x02

	// PrefixIdentity: from a series' identity to its id, when a sample names a series that is not in
	// memory. Hashed, because identities are long and would be stored a second time.
	// xxh64(identity)
	PrefixIdentity byte = 0x03

	// PrefixName: the small numbers that stand for metric names in chunk keys.
	// name
	PrefixName byte = 0x04

	// PrefixPosting: which series have a tag. By partition first, so that a lookup reads only series that
	// have samples in the range asked for and retention is one range deletion; then by tag key, so that
	// the values of a key are one scan. In pieces of 2^20 ids, so that adding a series never rewrites
	// a large bitmap.
	// tier part key value piece
	PrefixPosting byte = 0x10

	// PrefixDirty: which series a rollup has to visit again, by the hour of the raw samples that changed. By
	// position in the log too, so that a rollup can drop the marks that it saw and no later ones. In pieces
	// as postings are.
	// tier part hour lsn piece
	PrefixDirty byte = 0x11

	// PrefixChunk: the samples. By partition first, so that retention is one range deletion; then by
	// name, so that a metric is one range; then by series and time, as they are read. The seq tells
	// which of two chunks is newer and keeps their keys apart.
	// tier part nameID seriesID minTime seq
	PrefixChunk byte = 0x20

	// PrefixSketch: the sketches of a series' hours, apart from the other columns of these hours, which most
	// queries read without them. The key is that of a chunk.
	// tier part nameID seriesID minTime seq
	PrefixSketch byte = 0x21

	// PrefixEvent: by time, as events are read. The position in the log, and in the batch there, keeps the
	// keys of events of one time apart.
	// time lsn n
	PrefixEvent byte = 0x30

	// PrefixEventID: from an event's id to its key, so that one that is written again is known.
	// id
	PrefixEventID byte = 0x31

	// PrefixTombstone: by position in the log, since a tombstone hides what is older than it.
	// lsn
	PrefixTombstone byte = 0x40

	// PrefixHeadImage: samples too few to become chunks, carried whole with a checkpoint. By checkpoint
	// first, so that the images of older ones are one range deletion.
	// checkpoint n
	PrefixHeadImage byte = 0x41

	// PrefixAnswer: what requests were answered that may be repeated. By position in the log, so that the oldest,
	// which go first, are one range deletion.
	// lsn
	PrefixAnswer byte = 0x42

	// PrefixState: small state of parts above the engine, such as pipelines. By kind first, since a part reads
	// all of its own when it starts.
	// kind name
	PrefixState byte = 0x50
)

// Names of PrefixMeta keys.
const (
	MetaCheckpoint = "checkpoint" // the LSN up to which the log is not needed, and what was counted up to it
	MetaExpired    = "expired"    // up to which time raw samples were dropped, under which retention
)
