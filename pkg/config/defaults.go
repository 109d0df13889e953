package config

import (
	"time"

	"lockstitch/stitch"
)

// The values that some fields choose from.
const (
	ReadUncommitted = "read_uncommitted" // Source.Isolation
	ReadCommitted   = "read_committed"

	OAuthBearer = "oauthbearer" // SASL.Mechanism

	Ambiguous = "ambiguous" // Rules.SharedDevice
	LastLogin = "last_login"

	Quarantine = "quarantine" // Identity.UnusableUserID
	Absent     = "absent"

	FormatText = "text" // Log.Format
	FormatJSON = "json"
)

// Default is the configuration of an empty file: the contract's, on embedded
// parts. Each call returns a value of its own.
func Default() *Config {
	return &Config{
		Environment: "dev",
		Kafka:       Kafka{Brokers: List{}, SASL: SASL{Scopes: List{}}, Group: "lockstitch"},
		Redis:       Redis{Addresses: List{}},
		Embedded:    Embedded{Dir: ".lockstitch"},
		Sources:     defaultSources(),
		Topics: Topics{
			Journal: "stitch.journal", Sink: "customerio.sink", Decisions: "stitch.decisions",
			DLQ: "stitch.dlq", Snapshots: "stitch.snapshots",
		},
		Fold: defaultRules(),
		Identity: Identity{
			LogoutEvents:    []string{"user_logged_out", "User Logged Out", "Signed Out"},
			SplitEvents:     []string{"Identity Split"},
			UnusableUserIDs: []string{}, UnusableUserID: Quarantine, TemporaryUserIDs: []string{},
		},
		TimesToUnix: true,
		Process:     Process{Batch: 2000, CacheEntities: 20_000, Tick: Duration(time.Second), SnapshotEvery: Duration(15 * time.Minute)},
		Metrics:     Metrics{Listen: "127.0.0.1:9600"},
		Log:         Log{Level: "info", Format: FormatText},
	}
}

// defaultSources are the contract's four. The back end alone is trusted: a shop
// platform knows orders, and isn't asked who is who.
func defaultSources() []Source {
	source := func(origin string) Source {
		return Source{Topic: "events." + origin, Origin: origin, Isolation: ReadUncommitted}
	}
	server := source("server")
	server.Trust = Trust{Alias: true, Delete: true, Suppress: true, Split: true}
	return []Source{source("app"), source("web"), server, source("commerce")}
}

func defaultRules() Rules {
	r := stitch.DefaultRules()
	return Rules{
		DuplicateWindow:            millis(r.DuplicateWindow),
		MaxCustomersPerAnonymousID: r.MaxCustomers,
		MaxAnonymousIDsPerCustomer: r.MaxDevices,
		SharedDevice:               Ambiguous,
		SharedDeviceEnds:           millis(r.SharedAfter),
		TakeOverDelay:              millis(r.MergeDelay),
		KeepPersons:                millis(r.KeepPerson),
		KeepOrders:                 millis(r.KeepFact),
	}
}

func millis(n int64) Duration { return Duration(time.Duration(n) * time.Millisecond) }
