package config

// The comments of this file are shown to users: `config show --reference` and
// docs/configuration.md are made of them. A field's comment says what it does,
// its unit, and what its zero value means.

// Config is lockstitch.yaml. Every field can be left out, and then has the value
// shown here. ${NAME} in a value stands for an environment variable, which must
// be set; ${NAME:-text} for the variable, or the text where it is unset or
// empty. A field that isn't known is refused. Durations are written like 250ms,
// 10m, 36h or 30d. Paths to read (plan, certificates, password files) count from
// this file's folder.
type Config struct {
	// The name of the environment: dev, staging, prod, or your own. It is written
	// into the state and the committed offsets; what another environment wrote is refused.
	Environment string `yaml:"environment"`
	// Stands before the name of every topic (sources too), before the consumer
	// group and before every Redis key, so that environments can share a cluster.
	Prefix string `yaml:"prefix"`

	// Where Kafka is.
	Kafka Kafka `yaml:"kafka"`
	// Where Redis is. 7.0 or later, and its maxmemory-policy must be noeviction.
	Redis Redis `yaml:"redis"`
	// The embedded Kafka and Redis, used where neither kafka.brokers nor
	// redis.addresses is given. They are for development, not for production.
	Embedded Embedded `yaml:"embedded"`

	// The topics that events are read from. A list here replaces the whole default.
	Sources []Source `yaml:"sources"`
	// Names of Lockstitch's own topics, without the prefix.
	Topics Topics `yaml:"topics"`
	// Partitions of the journal and of the snapshots: the most owners that will
	// ever share the work. It can't change while there is state. 0 means 32, or 8
	// on the embedded Kafka.
	JournalPartitions int `yaml:"journal_partitions"`
	// Replicas of each topic that `topics apply` creates. 0 means 3, or 1 on the
	// embedded Kafka.
	Replication int `yaml:"replication"`
	// How long Lockstitch's own topics keep records. 0s means what their reviewed
	// files say (`topics plan` shows it).
	Retention Retention `yaml:"retention"`

	// The tracking plan, a YAML file. Empty means the default plan.
	Plan string `yaml:"plan"`
	// What the fold decides by. They travel in the journal: a change holds from the
	// moment when a processor with it takes over.
	Fold Rules `yaml:"rules"`
	// How identifiers and identity events are recognised.
	Identity Identity `yaml:"identity"`
	// ISO times in properties and traits become Unix seconds, as Customer.io wants
	// them.
	TimesToUnix bool `yaml:"times_to_unix"`

	// The processor's pace and size.
	Process Process `yaml:"process"`
	// The HTTP listener with /metrics, /ping and /ready.
	Metrics Metrics `yaml:"metrics"`
	// Log lines. They never hold an identifier or any other personal data.
	Log Log `yaml:"log"`
}

// Kafka says how to reach Kafka.
type Kafka struct {
	// Addresses of brokers, host:port: a list, or one text with commas. Empty means
	// the embedded Kafka.
	Brokers List `yaml:"brokers"`
	// Encryption of the connections.
	TLS TLS `yaml:"tls"`
	// How Lockstitch says who it is.
	SASL SASL `yaml:"sasl"`
	// The consumer group, without the prefix; ingest and processors each derive
	// theirs from it.
	Group string `yaml:"group"`
}

// TLS says how connections are encrypted.
type TLS struct {
	// Whether connections use TLS (1.2 or later).
	Enabled bool `yaml:"enabled"`
	// The authorities to trust, a PEM file. Empty means the system's.
	CAFile string `yaml:"ca_file"`
	// This client's certificate, a PEM file. Empty means none.
	CertFile string `yaml:"cert_file"`
	// The certificate's key, a PEM file.
	KeyFile string `yaml:"key_file"`
	// The name that the server's certificate must have. Empty means the host of the
	// address.
	ServerName string `yaml:"server_name"`
}

// SASL says who connects to Kafka.
type SASL struct {
	// plain, scram-sha-256, scram-sha-512 or oauthbearer. Empty means no SASL.
	Mechanism string `yaml:"mechanism"`
	// The user's name; the client's ID for token_url.
	User string `yaml:"user"`
	// The password (the client's secret), as ${NAME} only: a secret written into this
	// file is refused.
	Password Secret `yaml:"password"`
	// Or a file that holds the password and nothing else.
	PasswordFile string `yaml:"password_file"`
	// For oauthbearer: a file that holds the token and nothing else, and that
	// something else renews. It is read again whenever a token is due.
	TokenFile string `yaml:"token_file"`
	// Or the endpoint that gives tokens for the client's ID and secret (OAuth 2.0
	// client credentials), https:// or http://. Its certificate is checked against
	// the system's authorities.
	TokenURL string `yaml:"token_url"`
	// The scopes to ask the endpoint for. Empty means its default.
	Scopes List `yaml:"scopes"`
}

// Redis says how to reach Redis.
type Redis struct {
	// host:port: a list, or one text with commas. One address is a single Redis,
	// several are nodes of a Redis Cluster; with sentinel.master they are the
	// sentinels. Empty means the embedded Redis.
	Addresses List `yaml:"addresses"`
	// The ACL user. Empty means Redis's default user.
	Username string `yaml:"username"`
	// The password, as ${NAME} only: a secret written into this file is refused.
	Password Secret `yaml:"password"`
	// Or a file that holds the password and nothing else.
	PasswordFile string `yaml:"password_file"`
	// The database number; a Cluster has only 0.
	DB int `yaml:"db"`
	// Encryption of the connections, those to sentinels too.
	TLS TLS `yaml:"tls"`
	// Redis Sentinel, where it says who the master is.
	Sentinel Sentinel `yaml:"sentinel"`
}

// Sentinel says which master to ask the sentinels for, and as whom.
type Sentinel struct {
	// The master's name, as the sentinels monitor it. Empty means that the addresses
	// are not sentinels'.
	Master string `yaml:"master"`
	// The sentinels' own ACL user. Empty means their default user.
	Username string `yaml:"username"`
	// The sentinels' own password, as ${NAME} only. Empty means that they want none.
	Password Secret `yaml:"password"`
	// Or a file that holds the password and nothing else.
	PasswordFile string `yaml:"password_file"`
}

// Embedded is the embedded Kafka and Redis.
type Embedded struct {
	// Where the embedded Kafka keeps its records, counted from the working folder.
	// The embedded Redis keeps nothing: its state is folded again at each start.
	Dir string `yaml:"dir"`
	// The Kafka's port on 127.0.0.1, for other programs too. 0 means any free port.
	KafkaPort int `yaml:"kafka_port"`
	// The Redis's port on 127.0.0.1. 0 means any free port.
	RedisPort int `yaml:"redis_port"`
}

// Source is one topic to read.
type Source struct {
	// The topic's name, without the prefix.
	Topic string `yaml:"topic"`
	// Who speaks in it. Message IDs are unique for each origin, and the tracking
	// plan names origins as authorities.
	Origin string `yaml:"origin"`
	// The shop of orders that don't name theirs. Empty means none.
	Shop string `yaml:"shop"`
	// read_uncommitted, or read_committed where the topic is written in
	// transactions (`topics check` finds out).
	Isolation string `yaml:"isolation"`
	// Whether the origin is believed when it says more than what happened.
	Trust Trust `yaml:"trust"`
}

// Trust is what an origin is believed about customers.
type Trust struct {
	// It may merge two customers (alias).
	Alias bool `yaml:"alias"`
	// It may have a customer deleted.
	Delete bool `yaml:"delete"`
	// It may have a customer suppressed and unsuppressed.
	Suppress bool `yaml:"suppress"`
	// It may take a link or a merge back.
	Split bool `yaml:"split"`
	// It may use the names that Customer.io reserves in traits and event data
	// (id, cio_id, _update, recipient, …); from others they are dropped.
	Reserved bool `yaml:"reserved"`
}

// Topics are the names of our own topics.
type Topics struct {
	// The log that all state is the fold of.
	Journal string `yaml:"journal"`
	// The clean, stitched stream for Customer.io.
	Sink string `yaml:"sink"`
	// Every outcome that is not a sink record, and every identity change.
	Decisions string `yaml:"decisions"`
	// Records that can't be used, untouched, with the reason.
	DLQ string `yaml:"dlq"`
	// Copies of the state, for a rebuild.
	Snapshots string `yaml:"snapshots"`
}

// Retention is how long our own topics keep records; 0s means the topic's file.
type Retention struct {
	// Beyond the last snapshot and every window.
	Journal Duration `yaml:"journal"`
	// As long as delivery may be stopped.
	Sink Duration `yaml:"sink"`
	// As long as questions about an outcome are asked.
	Decisions Duration `yaml:"decisions"`
	// As long as it may take to repair a sender.
	DLQ Duration `yaml:"dlq"`
	// Several snapshots long, and not longer than the journal.
	Snapshots Duration `yaml:"snapshots"`
}

// Rules are what the fold decides by. Config.Rules gives them to the fold.
type Rules struct {
	// For how long (of log time) a message ID is known again.
	DuplicateWindow Duration `yaml:"duplicate_window"`
	// How many customers one anonymous ID takes; the next link is refused, its event
	// passes.
	MaxCustomersPerAnonymousID int `yaml:"max_customers_per_anonymous_id"`
	// How many anonymous IDs one customer takes, likewise.
	MaxAnonymousIDsPerCustomer int `yaml:"max_anonymous_ids_per_customer"`
	// Whose an event without a customer is, on a device where a second customer
	// logged in without a logout: ambiguous (nobody's) or last_login.
	SharedDevice string `yaml:"shared_device"`
	// How long after the other customer's last sign a login ends the sharing.
	SharedDeviceEnds Duration `yaml:"shared_device_ends"`
	// How long (of log time) after a customer's first sink record a lead or another
	// customer is merged into them: right after it, Customer.io can lose the merge.
	TakeOverDelay Duration `yaml:"take_over_delay"`
	// How long people and devices are remembered after their last record.
	KeepPersons Duration `yaml:"keep_persons"`
	// How long orders are remembered after their last record.
	KeepOrders Duration `yaml:"keep_orders"`
}

// Identity says how identifiers and identity events are recognised.
type Identity struct {
	// Names of the track events that end a login.
	LogoutEvents []string `yaml:"logout_events"`
	// Names of the track events that take a link or a merge back.
	SplitEvents []string `yaml:"split_events"`
	// Texts that are no user ID, beyond the built-in ones (null, undefined, guest, …).
	UnusableUserIDs []string `yaml:"unusable_user_ids"`
	// What becomes of an event with such a user ID: quarantine, or absent (it passes
	// as anonymous, and is counted).
	UnusableUserID string `yaml:"unusable_user_id"`
	// Forms of user IDs that a shop gives before the login: a beginning and *, as in
	// tmp-*, or else a regular expression for the whole ID. Their person is merged
	// into the customer who logs in next on that device.
	TemporaryUserIDs []string `yaml:"temporary_user_ids"`
}

// Process is the processor's pace and size.
type Process struct {
	// Records of a batch at most.
	Batch int `yaml:"batch"`
	// Devices, orders and persons kept in memory for each journal partition at most;
	// the rest is read from Redis.
	CacheEntities int `yaml:"cache_entities"`
	// How often time is written into the journal while something waits for it.
	Tick Duration `yaml:"tick"`
	// How often the state of each journal partition is copied into the topic of
	// snapshots. Where Redis lost it, a rebuild begins with the last copy. The
	// journal has to be kept for longer than this.
	SnapshotEvery Duration `yaml:"snapshot_every"`
}

// Metrics is the HTTP listener.
type Metrics struct {
	// host:port; :9600 listens on every interface. Empty means no listener.
	Listen string `yaml:"listen"`
	// Serve /debug/pprof too. It tells much about the process: keep it off where
	// others can reach it.
	Pprof bool `yaml:"pprof"`
}

// Log is how log lines look.
type Log struct {
	// debug, info, warn or error.
	Level string `yaml:"level"`
	// text or json.
	Format string `yaml:"format"`
}
