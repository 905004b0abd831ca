package keys

import (
	"github.com/flopynet/collector/model"
)

// AppendMeta appends the key of a named value of the whole store.
func AppendMeta(dst []byte, name string) []byte {
	return appendString(append(dst, PrefixMeta), name)
}

// ParseMeta is the inverse of AppendMeta.
func ParseMeta(key []byte) (name string, err error) {
	f := parse(key, PrefixMeta)
	name = f.string()
	return name, f.end("named value")
}

// AppendPartition appends the key of a partition's own state.
func AppendPartition(dst []byte, tier model.Tier, partition model.Partition) []byte {
	return AppendPartitionPrefix(dst, PrefixPartition, tier, partition)
}

// ParsePartition is the inverse of AppendPartition.
func ParsePartition(key []byte) (tier model.Tier, partition model.Partition, err error) {
	f := parse(key, PrefixPartition)
	tier, partition = f.tier(), model.Partition(f.int64())
	return tier, partition, f.end("partition")
}

// AppendSeries appends the key of a series' catalogue entry.
func AppendSeries(dst []byte, id model.SeriesID) []byte {
	return appendUint64(append(dst, PrefixSeries), uint64(id))
}

// ParseSeries is the inverse of AppendSeries.
func ParseSeries(key []byte) (id model.SeriesID, err error) {
	f := parse(key, PrefixSeries)
	id = model.SeriesID(f.uint64())
	return id, f.end("series")
}

// AppendIdentity appends the key of the ids whose identities have this hash.
func AppendIdentity(dst []byte, hash uint64) []byte {
	return appendUint64(append(dst, PrefixIdentity), hash)
}

// ParseIdentity is the inverse of AppendIdentity.
func ParseIdentity(key []byte) (hash uint64, err error) {
	f := parse(key, PrefixIdentity)
	hash = f.uint64()
	return hash, f.end("series identity")
}

// AppendName appends the key of a metric name's number.
func AppendName(dst []byte, name string) []byte {
	return appendString(append(dst, PrefixName), name)
}

// ParseName is the inverse of AppendName.
func ParseName(key []byte) (name string, err error) {
	f := parse(key, PrefixName)
	name = f.string()
	return name, f.end("metric name")
}

// Posting names a bitmap of the series of a partition that have a tag: the ids from Piece * 2^20 on.
type Posting struct {
	Tier       model.Tier
	Partition  model.Partition
	Key, Value string
	Piece      uint64
}

// AppendPosting appends the key of a posting.
func AppendPosting(dst []byte, p Posting) []byte {
	dst = AppendTagPrefix(dst, p.Tier, p.Partition, p.Key, p.Value)
	return appendUint64(dst, p.Piece)
}

// ParsePosting is the inverse of AppendPosting.
func ParsePosting(key []byte) (Posting, error) {
	f := parse(key, PrefixPosting)
	p := Posting{
		Tier:      f.tier(),
		Partition: model.Partition(f.int64()),
		Key:       f.string(),
		Value:     f.string(),
		Piece:     f.uint64(),
	}
	return p, f.end("posting")
}

// ParsePostingTail reads what follows AppendTagKeyPrefix in the key of a posting, for scans of one tag
// key that need not parse the rest again.
func ParsePostingTail(tail []byte) (value string, piece uint64, err error) {
	f := fields{key: tail, rest: tail}
	value, piece = f.string(), f.uint64()
	return value, piece, f.end("posting, behind the tag key")
}

// Dirty names a set of series whose raw samples of an hour changed after they were rolled up: the ids
// from Piece * 2^20 on. Hour counts from the epoch.
type Dirty struct {
	Tier      model.Tier
	Partition model.Partition
	Hour      int64
	LSN       uint64
	Piece     uint64
}

// AppendDirty appends the key of a set of changed series.
func AppendDirty(dst []byte, d Dirty) []byte {
	dst = AppendPartitionPrefix(dst, PrefixDirty, d.Tier, d.Partition)
	return appendUint64(appendUint64(appendInt64(dst, d.Hour), d.LSN), d.Piece)
}

// ParseDirty is the inverse of AppendDirty.
func ParseDirty(key []byte) (Dirty, error) {
	f := parse(key, PrefixDirty)
	d := Dirty{
		Tier:      f.tier(),
		Partition: model.Partition(f.int64()),
		Hour:      f.int64(),
		LSN:       f.uint64(),
		Piece:     f.uint64(),
	}
	return d, f.end("set of changed series")
}

// AppendTombstone appends the key of the tombstone with this LSN.
func AppendTombstone(dst []byte, lsn uint64) []byte {
	return appendUint64(append(dst, PrefixTombstone), lsn)
}

// ParseTombstone is the inverse of AppendTombstone.
func ParseTombstone(key []byte) (lsn uint64, err error) {
	f := parse(key, PrefixTombstone)
	lsn = f.uint64()
	return lsn, f.end("tombstone")
}

// Chunk names a chunk of a series: its smallest time, in nanoseconds since the epoch, and the position
// in the log at which the series was frozen.
type Chunk struct {
	Tier      model.Tier
	Partition model.Partition
	NameID    uint64
	Series    model.SeriesID
	MinTime   int64
	Seq       uint64
}

// AppendChunk appends the key of a chunk.
func AppendChunk(dst []byte, c Chunk) []byte {
	dst = AppendSeriesPrefix(dst, c.Tier, c.Partition, c.NameID, c.Series)
	return appendUint64(appendInt64(dst, c.MinTime), c.Seq)
}

// ParseChunk is the inverse of AppendChunk. It does not allocate on success.
func ParseChunk(key []byte) (Chunk, error) {
	f := parse(key, PrefixChunk)
	c := f.chunk()
	return c, f.end("chunk")
}

func (f *fields) chunk() Chunk {
	return Chunk{
		Tier:      f.tier(),
		Partition: model.Partition(f.int64()),
		NameID:    f.uint64(),
		Series:    model.SeriesID(f.uint64()),
		MinTime:   f.int64(),
		Seq:       f.uint64(),
	}
}

// AppendSketch appends the key of a series' sketches, which has the fields of a chunk's.
func AppendSketch(dst []byte, c Chunk) []byte {
	start := len(dst)
	dst = AppendChunk(dst, c)
	dst[start] = PrefixSketch
	return dst
}

// ParseSketch is the inverse of AppendSketch. It does not allocate on success.
func ParseSketch(key []byte) (Chunk, error) {
	f := parse(key, PrefixSketch)
	c := f.chunk()
	return c, f.end("sketch")
}

// AppendHeadImage appends the key of part n of the head image of the checkpoint with this LSN.
func AppendHeadImage(dst []byte, checkpoint, n uint64) []byte {
	return appendUint64(AppendHeadImagePrefix(dst, checkpoint), n)
}

// ParseHeadImage is the inverse of AppendHeadImage.
func ParseHeadImage(key []byte) (checkpoint, n uint64, err error) {
	f := parse(key, PrefixHeadImage)
	checkpoint, n = f.uint64(), f.uint64()
	return checkpoint, n, f.end("head image")
}

// AppendState appends the key of a named value of a kind of small state.
func AppendState(dst []byte, kind, name string) []byte {
	return appendString(AppendStatePrefix(dst, kind), name)
}

// ParseState is the inverse of AppendState.
func ParseState(key []byte) (kind, name string, err error) {
	f := parse(key, PrefixState)
	kind, name = f.string(), f.string()
	return kind, name, f.end("small state")
}

// Event names an event: its time, in nanoseconds since the epoch, the position of its batch in the log, and
// its own in the batch.
type Event struct {
	Time int64
	LSN  uint64
	N    uint64
}

// AppendEvent appends the key of an event.
func AppendEvent(dst []byte, e Event) []byte {
	dst = appendInt64(append(dst, PrefixEvent), e.Time)
	return appendUint64(appendUint64(dst, e.LSN), e.N)
}

// ParseEvent is the inverse of AppendEvent. It does not allocate on success.
func ParseEvent(key []byte) (Event, error) {
	f := parse(key, PrefixEvent)
	e := Event{Time: f.int64(), LSN: f.uint64(), N: f.uint64()}
	return e, f.end("event")
}

// AppendEventID appends the key under which an event's own key is found by the event's id.
func AppendEventID(dst []byte, id string) []byte {
	return appendString(append(dst, PrefixEventID), id)
}

// ParseEventID is the inverse of AppendEventID.
func ParseEventID(key []byte) (id string, err error) {
	f := parse(key, PrefixEventID)
	id = f.string()
	return id, f.end("event's id")
}

// AppendAnswer appends the key of the answer that belongs to the batch with this LSN.
func AppendAnswer(dst []byte, lsn uint64) []byte {
	return appendUint64(append(dst, PrefixAnswer), lsn)
}

// ParseAnswer is the inverse of AppendAnswer.
func ParseAnswer(key []byte) (lsn uint64, err error) {
	f := parse(key, PrefixAnswer)
	lsn = f.uint64()
	return lsn, f.end("answer")
}
