package wire

// SnapshotRecord is one record of a snapshot: a begin, then parts, then an end.
// Records of several snapshots may stand between one another; a snapshot without
// its end, or whose parts don't match it, counts for nothing.
type SnapshotRecord struct {
	Kind SnapshotKind `cbor:"1,keyasint"`
	ID   string       `cbor:"2,keyasint"` // of the snapshot

	// Of a begin: the state's meta (stitch.Meta, encoded) at the snapshot's offset; of
	// an end the same, for who looks only at ends.
	Meta []byte `cbor:"3,keyasint,omitempty"`

	// Of a part. An entity may stand in several, as the same bytes.
	Entities []SnapshotEntity `cbor:"4,keyasint,omitempty"`

	// Of an end.
	Parts  int64  `cbor:"5,keyasint,omitempty"`
	Digest []byte `cbor:"6,keyasint,omitempty"` // SHA-256 of the parts' records, one after the other
}

// SnapshotKind is what a record of a snapshot is.
type SnapshotKind uint8

// The kinds.
const (
	SnapshotBegin SnapshotKind = iota + 1
	SnapshotPart
	SnapshotEnd
)

// SnapshotEntity is an entity's key and its encoded state.
type SnapshotEntity struct {
	_     struct{} `cbor:",toarray"`
	Key   []byte
	State []byte
}
