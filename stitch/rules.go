package stitch

import "errors"

// Rules are what the fold decides by. They travel in the log: an owner whose
// rules differ from those in force appends them, and from there they hold.
// What depends on the tracking plan (holds, collapse windows, authorities)
// comes with each event, put there by ingest. All durations are milliseconds.
type Rules struct {
	DuplicateWindow int64 `cbor:"1,keyasint"` // law duplicates.1, log time; default 24 h
	MaxCustomers    int   `cbor:"2,keyasint"` // law identity.9: customers of an anonymous ID; default 5
	MaxDevices      int   `cbor:"3,keyasint"` // law identity.9: anonymous IDs of a customer; default 1000
	LastLogin       bool  `cbor:"4,keyasint"` // shared_device: last_login (law identity.5); default ambiguous
	SharedAfter     int64 `cbor:"5,keyasint"` // law identity.5: a login this long after the other's last sign ends the sharing; 30 days
	MergeDelay      int64 `cbor:"6,keyasint"` // law identity.7: log time after the customer's first sink record; one minute
	KeepPerson      int64 `cbor:"7,keyasint"` // retention of devices and persons; 400 days
	KeepFact        int64 `cbor:"8,keyasint"` // retention of orders; 180 days
}

// DefaultRules are the contract's.
func DefaultRules() Rules {
	const minute, day = 60_000, 24 * 60 * 60_000
	return Rules{
		DuplicateWindow: day, MaxCustomers: 5, MaxDevices: 1000, SharedAfter: 30 * day,
		MergeDelay: minute, KeepPerson: 400 * day, KeepFact: 180 * day,
	}
}

// Validate says which rule can't be.
func (r Rules) Validate() error {
	switch {
	case r.DuplicateWindow <= 0 || r.SharedAfter <= 0 || r.MergeDelay < 0:
		return errors.New("rules: the duplicate window and the shared-device time must be positive, the merge delay not negative")
	case r.MaxCustomers < 1 || r.MaxDevices < 1:
		return errors.New("rules: limits of customers and devices must be at least 1")
	case r.KeepPerson < r.DuplicateWindow || r.KeepFact < r.DuplicateWindow:
		return errors.New("rules: retention must not be shorter than the duplicate window")
	}
	return nil
}
