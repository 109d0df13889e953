package config

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lockstitch/stitch"
)

const password = "hunter2-\"'#: x" // awkward for YAML, on purpose

// env are the variables that tests have.
var env = map[string]string{
	"BROKERS": "kafka-1:9092, kafka-2:9092", "REDIS": "redis:6379", "SECRET": password, "DIGITS": "12345",
	"BATCH": "50", "ON": "true", "EMPTY": "", "EVIL": "a\nprefix: evil", "SWITCH": "true",
}

func lookup(name string) (string, bool) { v, ok := env[name]; return v, ok }

// load writes text as a file and loads it.
func load(t *testing.T, text string) (*Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "lockstitch.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(path, lookup)
}

var exact = cmp.AllowUnexported(Secret{})

func TestDefaultIsValid(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Errorf("the default configuration is refused: %v", err)
	}
	if diff := cmp.Diff(stitch.DefaultRules(), Default().Rules()); diff != "" {
		t.Errorf("the rules are not the fold's defaults (-want +got):\n%s", diff)
	}
}

func TestReferenceReadsBackAsDefault(t *testing.T) {
	for name, text := range map[string]string{"reference": string(Reference()), "empty": "", "comment alone": "# nothing\n"} {
		got, err := load(t, text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(Default(), got, exact); diff != "" {
			t.Errorf("%s is not the default (-want +got):\n%s", name, diff)
		}
	}
	got, err := Load("", lookup)
	if err != nil || !cmp.Equal(Default(), got, exact) {
		t.Errorf("no file: %+v, %v", got, err)
	}
}

// TestEveryFieldIsExplained: no field lacks its comment or its name.
func TestEveryFieldIsExplained(t *testing.T) {
	docs := comments()
	for _, section := range []any{
		Config{}, Kafka{}, TLS{}, SASL{}, Redis{}, Sentinel{}, Embedded{}, Source{}, Trust{}, Topics{},
		Retention{}, Rules{}, Identity{}, Process{}, Metrics{}, Log{},
	} {
		s := reflect.TypeOf(section)
		for field := range s.Fields() {
			name := s.Name() + "." + field.Name
			if len(docs[name]) == 0 || field.Tag.Get("yaml") == "" {
				t.Errorf("%s has no comment or no yaml name", name)
				continue
			}
			if !strings.Contains(string(Reference()), "# "+docs[name][0]+"\n") {
				t.Errorf("the reference doesn't explain %s", name)
			}
		}
	}
}

func TestLoad(t *testing.T) {
	tests := []struct {
		name, text string
		want       func(*Config)
	}{
		{"sections left empty keep their defaults", "kafka:\nredis:\n  # nothing\nrules:\nsources:\n", func(*Config) {}},
		{"environment variables", "kafka: {brokers: '${BROKERS}'}\nredis: {addresses: ['${REDIS}']}\nprefix: ${NONE:-x.}\n", func(c *Config) {
			c.Kafka.Brokers, c.Redis.Addresses, c.Prefix = List{"kafka-1:9092", "kafka-2:9092"}, List{"redis:6379"}, "x."
		}},
		{"in numbers, switches and lists", "process:\n  batch: ${BATCH}\nmetrics: {pprof: '${ON}'}\nidentity: {split_events: ['a ${BATCH}']}", func(c *Config) {
			c.Process.Batch, c.Metrics.Pprof, c.Identity.SplitEvents = 50, true, []string{"a 50"}
		}},
		{"a default for an empty variable", "environment: ${EMPTY:-staging}", func(c *Config) { c.Environment = "staging" }},
		{"comments hold no references", "# ${NONE}\nenvironment: prod # ${NONE}\n", func(c *Config) { c.Environment = "prod" }},
		{"a secret of any text", "redis:\n  addresses: a:1\n  username: u\n  password: ${SECRET} # of the environment\nkafka: {brokers: b:1}", func(c *Config) {
			c.Redis.Addresses, c.Redis.Username, c.Redis.Password, c.Kafka.Brokers = List{"a:1"}, "u", NewSecret(password), List{"b:1"}
		}},
		{"a secret of digits", "redis: {password: '${DIGITS}'}", func(c *Config) { c.Redis.Password = NewSecret("12345") }},
		{"a secret like a switch", "redis:\n  password: ${SWITCH}", func(c *Config) { c.Redis.Password = NewSecret("true") }},
		{"no secret", "redis:\n  password: ${NONE:-}", func(*Config) {}},
		{"durations", "rules: {duplicate_window: 1d12h, keep_orders: 90d}\nprocess: {tick: 250ms}\nretention: {journal: 14d}", func(c *Config) {
			c.Fold.DuplicateWindow, c.Fold.KeepOrders = Duration(36*time.Hour), Duration(90*day)
			c.Process.Tick, c.Retention.Journal = Duration(250*time.Millisecond), Duration(14*day)
		}},
		{"a list of sources replaces the default", "sources: [{topic: t, origin: o}]", func(c *Config) {
			c.Sources = []Source{{Topic: "t", Origin: "o", Isolation: ReadUncommitted}}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := load(t, tt.text)
			if err != nil {
				t.Fatal(err)
			}
			want := Default()
			tt.want(want)
			if diff := cmp.Diff(want, got, exact); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestLoadRefuses(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"an unknown field, with its line", "environment: dev\nkafka:\n  broker: [a:1]\n", `lockstitch.yaml:3:3: unknown field "broker"`},
		{"an unknown field without a value", "kafak:\n", `:1:1: unknown field "kafak"`},
		{"an unknown field of a list", "sources:\n  - topic: t\n    orign: o\n", `:3:5: unknown field "orign"`},
		{"a field twice", "prefix: a\nprefix: b\n", `:2:1: mapping key "prefix" already defined`},
		{"a second document", "prefix: a\n---\nprefix: b\n", ":3:7: a second document"},
		{"no YAML", "prefix: [a\n", ":1:9: "},
		{"a list for a mapping", "kafka: [a]\n", ":1:8: a sequence stands where a mapping is wanted"},
		{"text for a number", "process:\n  batch: many\n", ":2:10: a text stands where a number is wanted"},
		{"a number for a switch", "metrics: {pprof: 1}", ":1:18: a number stands where a true or false is wanted"},
		{"a mapping in a list of texts", "kafka: {brokers: [{a: b}]}", "a list of texts is wanted"},
		{"a duration without a unit", "process:\n  tick: 5\n", `:2:9: "5" is no duration`},
		{"a variable that isn't set", "environment: dev\nprefix: ${NONE}\n", ":2:9: the environment variable NONE is not set"},
		{"all variables at once", "environment: ${NONE}\nprefix: ${NADA}\n", "NADA is not set"},
		{"a reference that isn't one", "prefix: ${NO-NE}\n", ":1:9: a reference is not well formed"},
		{"structure from a variable", "environment: ${EVIL}\n", `environment: "a\nprefix: evil" is no name`},
		{"a literal secret", "redis:\n  password: hunter2\n", ":2:13: a secret is written into the file"},
		{"a literal secret in digits", "redis: {password: 12345}", "a secret is written into the file"},
		{"a literal secret as a default", "redis: {password: '${NONE:-hunter2}'}", "a secret is written into the file"},
		{"a literal secret around a variable", "redis: {password: 'hunter2${SECRET}'}", "a secret is written into the file"},
		{"a literal secret in a block", "redis:\n  password: |\n    hunter2\n", "a secret is written into the file"},
		{"a literal secret by an anchor", "prefix: &p hunter2\nredis: {password: *p}\n", "a secret is written into the file"},
		{"a literal secret by a merge", "kafka: {sasl: &s {user: u, password: hunter2}}\n", "a secret is written into the file"},
		{"a literal secret and no YAML", "redis:\n  password: \"hunter2\n", ":2:13: "},
		{"a literal secret with a colon", "redis:\n  password: hunter2: x\n", ":2:"},
		{"a literal secret with bad indent", "redis:\n  password: x\n hunter2\n", ":3:2: "},
		{"a literal secret as a key", "redis:\n  password: {hunter2: 1}\n", "a secret is written into the file"},
		{"a secret near another fault", "redis:\n  usernam: u\n  password: ${SECRET}\n", `:2:3: unknown field "usernam"`},
		{"two ways of a secret", "redis: {password: '${SECRET}', password_file: f}", "both given"},
		{"two ways of the sentinels' secret", "redis: {sentinel: {password: '${SECRET}', password_file: f}}", "redis.sentinel: password and password_file are both given"},
		{"a secret's file that isn't there", "redis: {password_file: absent}", "redis.password_file: open "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := load(t, tt.text)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want an error with %q", err, tt.want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error shows the secret: %v", err)
			}
		})
	}
}

func TestLoadWithoutTheFile(t *testing.T) {
	if _, err := Load(filepath.Join(t.TempDir(), "absent.yaml"), lookup); err == nil || !strings.Contains(err.Error(), "absent.yaml") {
		t.Errorf("got %v, want an error that names the file", err)
	}
}

func TestValidate(t *testing.T) {
	real := func(c *Config) { c.Kafka.Brokers, c.Redis.Addresses = List{"k:9092"}, List{"r:6379"} }
	tests := []struct {
		name   string
		change func(*Config)
		want   string // "" where it is valid
	}{
		{"real parts", real, ""},
		{"a cluster, SASL and TLS", func(c *Config) {
			real(c)
			c.Redis.Addresses = List{"r-1:6379", "[::1]:6379"}
			c.Kafka.SASL = SASL{Mechanism: "scram-sha-512", User: "u", Password: NewSecret("x")}
			c.Kafka.TLS = TLS{Enabled: true, CAFile: "ca.pem"}
		}, ""},
		{"tokens from a file", func(c *Config) { real(c); c.Kafka.SASL = SASL{Mechanism: OAuthBearer, TokenFile: "t"} }, ""},
		{"tokens from an endpoint", func(c *Config) {
			real(c)
			c.Kafka.SASL = SASL{Mechanism: OAuthBearer, TokenURL: "https://idp:8443/token", User: "u", Password: NewSecret("x"), Scopes: List{"s"}}
		}, ""},
		{"environment", func(c *Config) { c.Environment = "Prod EU" }, `environment: "Prod EU" is no name`},
		{"prefix", func(c *Config) { c.Prefix = "{a}" }, "prefix: "},
		{"broker", func(c *Config) { real(c); c.Kafka.Brokers = List{"k:9092", "k"} }, "kafka.brokers[1]: this is no address"},
		{"an address with a secret", func(c *Config) { real(c); c.Redis.Addresses = List{"redis://u:hunter2@r:6379"} }, "redis.addresses[0]: this is no address"},
		{"Kafka without Redis", func(c *Config) { c.Kafka.Brokers = List{"k:1"} }, "redis.addresses: they are empty"},
		{"Redis without Kafka", func(c *Config) { c.Redis.Addresses = List{"r:1"} }, "kafka.brokers: they are empty"},
		{"group", func(c *Config) { c.Kafka.Group = "" }, "kafka.group: "},
		{"TLS off", func(c *Config) { c.Kafka.TLS.CAFile = "x" }, "kafka.tls.enabled: it is false"},
		{"certificate without key", func(c *Config) { c.Redis.TLS = TLS{Enabled: true, CertFile: "x"} }, "redis.tls: cert_file and key_file"},
		{"mechanism", func(c *Config) { c.Kafka.SASL = SASL{Mechanism: "gssapi", User: "u", Password: NewSecret("x")} }, `kafka.sasl.mechanism: "gssapi"`},
		{"no mechanism", func(c *Config) { c.Kafka.SASL.User = "u" }, "kafka.sasl.mechanism: it is missing"},
		{"no user", func(c *Config) { c.Kafka.SASL = SASL{Mechanism: "plain", Password: NewSecret("x")} }, "kafka.sasl.user: it is missing"},
		{"no password", func(c *Config) { c.Kafka.SASL = SASL{Mechanism: "plain", User: "u"} }, "kafka.sasl.password: it is missing"},
		{"a token file without a mechanism", func(c *Config) { c.Kafka.SASL.TokenFile = "t" }, "kafka.sasl.mechanism: it is missing"},
		{"a token file for another mechanism", func(c *Config) {
			c.Kafka.SASL = SASL{Mechanism: "plain", User: "u", Password: NewSecret("x"), TokenFile: "t"}
		}, "kafka.sasl.mechanism: it is plain, but a field for tokens"},
		{"no tokens", func(c *Config) { c.Kafka.SASL = SASL{Mechanism: OAuthBearer} }, "kafka.sasl.token_file: it is missing"},
		{"a token file with a user", func(c *Config) { c.Kafka.SASL = SASL{Mechanism: OAuthBearer, TokenFile: "t", User: "u"} }, "kafka.sasl.token_url: it is missing"},
		{"a token file with scopes", func(c *Config) {
			c.Kafka.SASL = SASL{Mechanism: OAuthBearer, TokenFile: "t", Scopes: List{"s"}}
		}, "kafka.sasl.token_url: it is missing"},
		{"tokens from two places", func(c *Config) {
			c.Kafka.SASL = SASL{Mechanism: OAuthBearer, TokenFile: "t", TokenURL: "https://idp/token", User: "u", Password: NewSecret("x")}
		}, "kafka.sasl.token_file: token_url is given too"},
		{"no client", func(c *Config) {
			c.Kafka.SASL = SASL{Mechanism: OAuthBearer, TokenURL: "https://idp/token", Password: NewSecret("x")}
		}, "kafka.sasl.user: it is missing: token_url needs one"},
		{"no client's secret", func(c *Config) {
			c.Kafka.SASL = SASL{Mechanism: OAuthBearer, TokenURL: "https://idp/token", User: "u"}
		}, "kafka.sasl.password: it is missing"},
		{"no endpoint", func(c *Config) {
			c.Kafka.SASL = SASL{Mechanism: OAuthBearer, TokenURL: "idp/token", User: "u", Password: NewSecret("x")}
		}, "kafka.sasl.token_url: this is no address"},
		{"an endpoint with a password", func(c *Config) {
			c.Kafka.SASL = SASL{Mechanism: OAuthBearer, TokenURL: "https://u:hunter2@idp/token", User: "u", Password: NewSecret("x")}
		}, "kafka.sasl.token_url: this is no address"},
		{"Redis user without password", func(c *Config) { c.Redis.Username = "u" }, "redis.password: it is missing"},
		{"database of a cluster", func(c *Config) { real(c); c.Redis.Addresses, c.Redis.DB = List{"a:1", "b:1"}, 1 }, "redis.db: a Redis Cluster"},
		{"sentinels", func(c *Config) {
			real(c)
			c.Redis.Addresses, c.Redis.DB = List{"s-1:26379", "s-2:26379"}, 1
			c.Redis.Sentinel = Sentinel{Master: "mymaster", Username: "u", Password: NewSecret("x")}
		}, ""},
		{"sentinels without addresses", func(c *Config) { c.Redis.Sentinel.Master = "mymaster" }, "redis.addresses: they are empty, but redis.sentinel.master"},
		{"sentinels' user without a master", func(c *Config) { real(c); c.Redis.Sentinel.Username = "u" }, "redis.sentinel.master: it is missing"},
		{"sentinels' user without password", func(c *Config) { real(c); c.Redis.Sentinel = Sentinel{Master: "m", Username: "u"} }, "redis.sentinel.password: it is missing"},
		{"a master's name", func(c *Config) { real(c); c.Redis.Sentinel.Master = " m" }, "redis.sentinel.master: it has white space"},
		{"negative database", func(c *Config) { c.Redis.DB = -1 }, "redis.db: -1"},
		{"folder", func(c *Config) { c.Embedded.Dir = "" }, "embedded.dir: "},
		{"port", func(c *Config) { c.Embedded.KafkaPort = 70000 }, "embedded.kafka_port: 70000"},
		{"one port twice", func(c *Config) { c.Embedded.KafkaPort, c.Embedded.RedisPort = 9092, 9092 }, "embedded.redis_port: 9092 is kafka_port too"},
		{"no source", func(c *Config) { c.Sources = nil }, "sources: the list is empty"},
		{"origin", func(c *Config) { c.Sources[1].Origin = "" }, "sources[1].origin: "},
		{"isolation", func(c *Config) { c.Sources[0].Isolation = "serializable" }, "sources[0].isolation: "},
		{"shop", func(c *Config) { c.Sources[0].Shop = " x" }, "sources[0].shop: "},
		{"topic", func(c *Config) { c.Sources[2].Topic = "a/b" }, `sources[2].topic: "a/b" is no name`},
		{"topic too long with the prefix", func(c *Config) { c.Prefix, c.Topics.Sink = strings.Repeat("p", 100), strings.Repeat("s", 150) }, "topics.sink: "},
		{"one topic twice", func(c *Config) { c.Topics.Sink = "events.web" }, `topics.sink: "events.web" is the topic of sources[1].topic too`},
		{"partitions", func(c *Config) { c.JournalPartitions = -1 }, "journal_partitions: -1"},
		{"replication", func(c *Config) { c.Replication = 10 }, "replication: 10"},
		{"retention", func(c *Config) { c.Retention.DLQ = Duration(time.Second) }, "retention.dlq: 1s"},
		{"window", func(c *Config) { c.Fold.DuplicateWindow = 0 }, "rules.duplicate_window: 0s"},
		{"sharing", func(c *Config) { c.Fold.SharedDeviceEnds = -1 }, "rules.shared_device_ends: "},
		{"delay", func(c *Config) { c.Fold.TakeOverDelay = -1 }, "rules.take_over_delay: "},
		{"customers", func(c *Config) { c.Fold.MaxCustomersPerAnonymousID = 0 }, "rules.max_customers_per_anonymous_id: 0"},
		{"devices", func(c *Config) { c.Fold.MaxAnonymousIDsPerCustomer = 0 }, "rules.max_anonymous_ids_per_customer: 0"},
		{"shared device", func(c *Config) { c.Fold.SharedDevice = "first" }, `rules.shared_device: "first"`},
		{"persons", func(c *Config) { c.Fold.KeepPersons = Duration(time.Hour) }, "rules.keep_persons: 1h is shorter"},
		{"orders", func(c *Config) { c.Fold.KeepOrders = Duration(time.Hour) }, "rules.keep_orders: 1h is shorter"},
		{"unusable", func(c *Config) { c.Identity.UnusableUserID = "drop" }, `identity.unusable_user_id: "drop"`},
		{"blank event", func(c *Config) { c.Identity.LogoutEvents = []string{" "} }, "identity.logout_events[0]: it is blank"},
		{"both events", func(c *Config) { c.Identity.SplitEvents = []string{"Signed Out"} }, "identity.split_events[0]: "},
		{"every ID is temporary", func(c *Config) { c.Identity.TemporaryUserIDs = []string{"tmp-*", "*"} }, "identity.temporary_user_ids[1]: "},
		{"temporary forms", func(c *Config) { c.Identity.TemporaryUserIDs = []string{"tmp-*", `guest[0-9]{4}`, "g_.*"} }, ""},
		{"no temporary form", func(c *Config) { c.Identity.TemporaryUserIDs = []string{"tmp-("} }, `identity.temporary_user_ids[0]: "tmp-(" is no regular`},
		{"batch", func(c *Config) { c.Process.Batch = 0 }, "process.batch: 0"},
		{"cache", func(c *Config) { c.Process.CacheEntities = 0 }, "process.cache_entities: 0"},
		{"snapshots", func(c *Config) { c.Process.SnapshotEvery = 0 }, "process.snapshot_every: 0s"},
		{"tick", func(c *Config) { c.Process.Tick = Duration(time.Millisecond) }, "process.tick: 1ms"},
		{"listen", func(c *Config) { c.Metrics.Listen = "9600" }, `metrics.listen: "9600"`},
		{"pprof alone", func(c *Config) { c.Metrics = Metrics{Pprof: true} }, "metrics.pprof: "},
		{"level", func(c *Config) { c.Log.Level = "loud" }, `log.level: "loud"`},
		{"format", func(c *Config) { c.Log.Format = "xml" }, `log.format: "xml"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := Default()
			tt.change(c)
			err := c.Validate()
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.want)):
				t.Errorf("got %v, want an error that begins with %q", err, tt.want)
			case err != nil && (strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "\n")):
				t.Errorf("the error shows a secret, or is several: %v", err)
			}
		})
	}
}

func TestValidateSaysAll(t *testing.T) {
	c := Default()
	c.Environment, c.Log.Format, c.Process.Batch = "", "", 0
	err := fmt.Sprint(c.Validate())
	for _, want := range []string{"environment: ", "log.format: ", "process.batch: "} {
		if !strings.Contains(err, want) {
			t.Errorf("%q is missing in:\n%s", want, err)
		}
	}
}

// TestSecretsAreNotPrinted: by no way of printing a Config or a Secret.
func TestSecretsAreNotPrinted(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("pw", password+"\r\n")
	write("l.yaml", "kafka:\n  brokers: k:1\n  sasl: {mechanism: plain, user: u, password_file: pw}\nredis: {addresses: r:1, password: '${SECRET}'}\n")
	c, err := Load(filepath.Join(dir, "l.yaml"), lookup)
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range []Secret{c.Kafka.SASL.Password, c.Redis.Password} {
		if got.Reveal() != password {
			t.Errorf("the secret was read as %q", got.Reveal())
		}
	}
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "config", c, "secret", c.Redis.Password)
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "config", *c, "secret", c.Redis.Password)
	for _, text := range []string{
		string(c.Show()), fmt.Sprintf("%v %+v %#v %s %q %x", c, *c, c.Redis, c.Redis.Password, c.Redis.Password, c.Redis.Password), string(asJSON), log.String(),
	} {
		if strings.Contains(text, "hunter2") || !strings.Contains(text, hidden) {
			t.Errorf("a secret is shown, or not marked:\n%s", text)
		}
	}
	if strings.Count(string(c.Show()), `password: "***"`) != 2 {
		t.Errorf("show doesn't mark both secrets:\n%s", c.Show())
	}
}

// TestShowReadsBack: what is shown of a configuration without secrets is that configuration.
func TestShowReadsBack(t *testing.T) {
	c := Default()
	c.Prefix, c.Identity.UnusableUserIDs = "p-", []string{"a, b", "[x]", "null", "7", "it's", `"q"`, "# no"}
	got, err := load(t, string(c.Show()))
	if err != nil {
		t.Fatalf("%v in:\n%s", err, c.Show())
	}
	c.JournalPartitions, c.Replication = 8, 1 // show says what 0 means
	if diff := cmp.Diff(c, got, exact); diff != "" {
		t.Errorf("(-shown +read):\n%s", diff)
	}
}

func TestDerived(t *testing.T) {
	c := Default()
	c.Prefix = "eu."
	if got := c.TopicNames().Sink + " " + c.GroupName() + " " + c.PrefixedSources()[0].Topic; got != "eu.customerio.sink eu.lockstitch eu.events.app" {
		t.Errorf("names are %q", got)
	}
	if c.Sources[0].Topic != "events.app" {
		t.Error("the configured source was changed")
	}
	if !c.IsEmbedded() || c.JournalCount() != 8 || c.Replicas() != 1 {
		t.Errorf("embedded: %v %d %d", c.IsEmbedded(), c.JournalCount(), c.Replicas())
	}
	c.Kafka.Brokers, c.Redis.Addresses = List{"k:1"}, List{"r:1"}
	if c.IsEmbedded() || c.JournalCount() != 32 || c.Replicas() != 3 {
		t.Errorf("real: %v %d %d", c.IsEmbedded(), c.JournalCount(), c.Replicas())
	}
	c.JournalPartitions, c.Fold.SharedDevice = 4, LastLogin
	if c.JournalCount() != 4 || !c.Rules().LastLogin {
		t.Errorf("set: %d %+v", c.JournalCount(), c.Rules())
	}
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"30d": 30 * day, "1d12h": 36 * time.Hour, "250ms": 250 * time.Millisecond, "1h30m": 90 * time.Minute,
		"0s": 0, "24h": day, "1m30s": 90 * time.Second, "10h0m5s": 10*time.Hour + 5*time.Second, "100h": 100 * time.Hour,
	} {
		got, err := ParseDuration(text)
		if err != nil || got != Duration(want) {
			t.Errorf("%s: got %v, %v", text, got, err)
		}
		if back, err := ParseDuration(got.String()); err != nil || back != got {
			t.Errorf("%s is shown as %s, which reads back as %v, %v", text, got, back, err)
		}
	}
	for _, text := range []string{"", "5", "d", "5 d", "1d-1h", "1d1d", "99999999999d", "-", "1d48h"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}

func TestTLSClient(t *testing.T) {
	if c, err := (TLS{}).Client(); c != nil || err != nil {
		t.Errorf("off: %v, %v", c, err)
	}
	c, err := TLS{Enabled: true, ServerName: "kafka"}.Client()
	if err != nil || c.ServerName != "kafka" || c.MinVersion == 0 || c.InsecureSkipVerify {
		t.Errorf("on: %+v, %v", c, err)
	}
	empty := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(empty, []byte("no pem"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []TLS{
		{Enabled: true, CAFile: "absent.pem"}, {Enabled: true, CAFile: empty}, {Enabled: true, CertFile: empty, KeyFile: empty},
	} {
		if _, err := bad.Client(); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}
