package wire

import "lockstitch/stitch"

// ids reads whom the record names, and how it is known itself.
func (d *decoding) ids() {
	ev := d.ev
	ev.MessageID, _ = d.id(d.messageID)
	d.anonymous()
	d.user()
	d.previous()
}

// anonymous reads the anonymous ID; one that can't be stable is absent.
func (d *decoding) anonymous() {
	id, state := d.id(d.anonymousID)
	if state != idGiven && state != idBlank {
		return
	}
	if class := d.in.class(id); class != "" {
		d.note(NoteUnusableAnonymousID, "anonymousId: "+class)
		return
	}
	d.ev.Anonymous = id
}

// user reads the customer ID (law identity.8).
func (d *decoding) user() {
	id, state := d.id(d.userID)
	if state != idGiven && state != idBlank {
		if state == idAbsent && d.ev.Type == stitch.Alias {
			d.reject(ReasonMissingUserID, "userId: an alias must have one")
		}
		return
	}
	class := d.in.class(id)
	if class == "" {
		class = d.ownClass(id, d.anonymousID)
	}
	switch {
	case class == "" && len(id) > maxPersonID:
		d.reject(ReasonLimitPersonID, "userId: must not be over 150 bytes")
	case class == "":
		d.ev.User, d.ev.Temporary = id, d.in.temporary(id)
	case d.in.absent && d.ev.Type != stitch.Alias:
		d.note(NoteUnusableUserID, "userId: "+class)
	default:
		d.reject(ReasonUnusableUserID+class, "userId: can't be a customer's stable ID")
	}
}

// ownClass says which of the event's own other IDs a customer ID is.
func (d *decoding) ownClass(id string, anonymous int32) string {
	if sameID(id, d.peekID(anonymous)) {
		return classOwnAnonymous
	}
	for _, device := range d.devices() {
		switch {
		case sameID(id, d.peekID(d.find(device, "id"))):
			return classOwnDevice
		case sameID(id, d.peekID(d.find(device, "token"))):
			return classOwnToken
		}
	}
	return ""
}

// devices are where the record may name its device.
func (d *decoding) devices() [3]int32 {
	if d.ev.Op != stitch.OpDeviceUpdate && d.ev.Op != stitch.OpDeviceDelete {
		return [3]int32{d.contextDevice}
	}
	return [3]int32{d.contextDevice, d.find(d.properties, "device"), d.flatDevice()}
}

// previous reads whom an alias or a split is about.
func (d *decoding) previous() {
	n := d.previousID
	switch {
	case d.ev.Type == stitch.Alias:
		d.ev.Trusted = d.rule.Trust.Alias
	case d.ev.Op == stitch.OpSplit:
		if n == 0 {
			n = d.find(d.properties, "previousId")
		}
		if n == 0 {
			return // it splits a device from a customer
		}
	default:
		return
	}
	id, state := d.id(n)
	switch {
	case state == idWrong:
	case state == idAbsent && d.ev.Op != stitch.OpSplit:
		d.reject(ReasonMissingPreviousID, "previousId: an alias must have one")
	case state == idAbsent:
	case d.in.class(id) != "" || d.ownClass(id, 0) != "":
		d.reject(ReasonUnusablePreviousID, "previousId: can't be a customer's stable ID")
	case len(id) > maxPersonID && id != d.ev.Anonymous:
		d.reject(ReasonLimitPersonID, "previousId: must not be over 150 bytes")
	default:
		d.ev.Previous = id
	}
}

// identifyTraits are an identify's traits: its own, and where it has none, those
// of its context (contract section 7, "traits").
func (d *decoding) identifyTraits() int32 {
	if d.traits != 0 && d.nodes[d.traits].next > d.traits+1 {
		return d.traits
	}
	return d.contextTraits
}

// email reads the address that the record names: an identify's trait, or that
// of the context where the record has no ID at all.
func (d *decoding) email() {
	n, ev := int32(0), d.ev
	if ev.Type == stitch.Identify {
		traits := d.identifyTraits()
		if traits != 0 && !d.isObject(traits) {
			d.rejectAt(traits, ReasonBadShape, "must be an object")
			return
		}
		n = d.find(traits, "email")
	}
	if n == 0 && ev.Anonymous == "" && ev.User == "" && ev.Type != stitch.Alias {
		n = d.find(d.contextTraits, "email")
	}
	if n == 0 {
		return
	}
	email, ok := "", false
	if d.nodes[n].kind == '"' {
		email, ok = address(string(d.bytes(n)))
	}
	switch {
	case !ok:
		d.noteAt(n, NoteUnusableEmail)
	case len(email) > maxID:
		d.rejectAt(n, ReasonIDTooLong, "an address must not be over 256 bytes")
	default:
		ev.Email = email
	}
}
