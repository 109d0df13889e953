package wire

// Reasons for which a record is quarantined: the stable codes of the header
// ls-reason (contract section 6). Alerts and dashboards use them.
const (
	ReasonTooLarge           = "too_large"
	ReasonNotJSON            = "not_json"
	ReasonNotObject          = "not_object"
	ReasonDuplicateKey       = "duplicate_key"
	ReasonInvalidUTF8        = "invalid_utf8"
	ReasonTooDeep            = "too_deep"
	ReasonNumberRange        = "number_range"
	ReasonBadShape           = "bad_shape"
	ReasonUnknownType        = "unknown_type"
	ReasonMissingEvent       = "missing_event"
	ReasonMissingName        = "missing_name"
	ReasonBadTime            = "bad_time"
	ReasonTimeAhead          = "time_ahead"
	ReasonBadID              = "bad_id"
	ReasonIDTooLong          = "id_too_long"
	ReasonMissingUserID      = "missing_user_id"
	ReasonMissingPreviousID  = "missing_previous_id"
	ReasonUnusablePreviousID = "unusable_previous_id"
	ReasonNamesNobody        = "names_nobody"
	ReasonUnplanned          = "unplanned"

	// What breaks the tracking plan: "plan_" and the rule.
	ReasonPlanMissing = "plan_missing"
	ReasonPlanType    = "plan_type"
	ReasonPlanRange   = "plan_range"
	ReasonPlanEnum    = "plan_enum"
	ReasonPlanOneOf   = "plan_one_of"

	// What is over a limit of Customer.io.
	ReasonLimitPersonID       = "limit_person_id"
	ReasonLimitAttributeName  = "limit_attribute_name"
	ReasonLimitAttributeValue = "limit_attribute_value"
	ReasonLimitAttributes     = "limit_attributes"
	ReasonLimitEventName      = "limit_event_name"
	ReasonLimitEventData      = "limit_event_data"
	ReasonLimitOperation      = "limit_operation"

	// ReasonUnusableUserID begins the reasons of law identity.8; a Class follows.
	ReasonUnusableUserID = "unusable_user_id_"
)

// Names of notes: remarks on a record that change no outcome.
const (
	NoteReservedDropped     = "reserved_dropped"      // a reserved name in traits or event data
	NoteShapeDropped        = "shape_dropped"         // a value whose shape Customer.io refuses under that name
	NoteUnusableEmail       = "unusable_email"        // an email that is no address
	NoteUnusableUserID      = "unusable_user_id"      // taken as absent, by configuration
	NoteUnusableAnonymousID = "unusable_anonymous_id" // taken as absent
)

// Limits of a record (contract section 6) and of Customer.io (CUSTOMERIO.md).
// All but maxDepth, maxAttributes and dayMillis are bytes.
const (
	maxRecord         = 1 << 20
	maxDepth          = 64
	maxID             = 256
	maxPersonID       = 150
	maxAttributeName  = 150
	maxAttributeValue = 1000
	maxAttributes     = 300
	maxEventName      = 100
	maxEventData      = 100_000
	maxOperation      = 32 << 10 // an operation must stay under this
	// operationReserve is kept for what an operation says besides the event: a
	// customer's ID that another event named (150 bytes, six times that when
	// escaped), the ULID, the time and the field names.
	operationReserve = 1200
	dayMillis        = 24 * 60 * 60 * 1000
)
