package deploy

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
)

// metrics are the names that Lockstitch exposes, each with its labels.
var metrics = map[string][]string{
	"lockstitch_records_total":           {"source", "outcome"},
	"lockstitch_lag_records":             {"topic", "partition"},
	"lockstitch_lag_seconds":             nil,
	"lockstitch_stage_seconds":           {"stage"},
	"lockstitch_held_orders":             nil,
	"lockstitch_held_oldest_seconds":     nil,
	"lockstitch_refused_ids_total":       {"reason"},
	"lockstitch_cas_refused_total":       nil,
	"lockstitch_catchup_silent_total":    nil,
	"lockstitch_redis_memory_bytes":      nil,
	"lockstitch_batches_total":           nil,
	"lockstitch_partitions_unserved":     nil,
	"lockstitch_trouble_total":           {"part", "kind"},
	"lockstitch_snapshots_total":         nil,
	"lockstitch_snapshot_oldest_seconds": nil,
	"lockstitch_rebuilds_total":          {"reason"},
}

// The parts of the Compose specification that docker-compose.yml uses; a key
// that isn't here is refused, as a misspelt one would be.
type compose struct {
	Name     string              `yaml:"name"`
	Services map[string]service  `yaml:"services"`
	Volumes  map[string]struct{} `yaml:"volumes"`
}

type service struct {
	Image       string                `yaml:"image"`
	PullPolicy  string                `yaml:"pull_policy"`
	Build       *build                `yaml:"build"`
	Command     []string              `yaml:"command"`
	Environment map[string]string     `yaml:"environment"`
	Ports       []string              `yaml:"ports"`
	Volumes     []string              `yaml:"volumes"`
	DependsOn   map[string]dependency `yaml:"depends_on"`
	Healthcheck *healthcheck          `yaml:"healthcheck"`
	Restart     string                `yaml:"restart"`
}

type build struct {
	Context    string `yaml:"context"`
	Dockerfile string `yaml:"dockerfile"`
}

type dependency struct {
	Condition string `yaml:"condition"`
}

type healthcheck struct {
	Test     []string `yaml:"test"`
	Interval string   `yaml:"interval"`
	Timeout  string   `yaml:"timeout"`
	Retries  int      `yaml:"retries"`
}

// prometheusConfig is prometheus.yml.
type prometheusConfig struct {
	Global struct {
		ScrapeInterval string `yaml:"scrape_interval"`
	} `yaml:"global"`
	RuleFiles     []string `yaml:"rule_files"`
	ScrapeConfigs []scrape `yaml:"scrape_configs"`
}

type scrape struct {
	JobName                string   `yaml:"job_name"`
	ScrapeNativeHistograms bool     `yaml:"scrape_native_histograms"`
	ScrapeProtocols        []string `yaml:"scrape_protocols"`
	StaticConfigs          []struct {
		Targets []string `yaml:"targets"`
	} `yaml:"static_configs"`
}

// lockstitchConfig is what the other files must agree with in lockstitch.yaml;
// the rest of it is package app's to check.
type lockstitchConfig struct {
	Environment string `yaml:"environment"`
	Kafka       struct {
		Brokers []string `yaml:"brokers"`
	} `yaml:"kafka"`
	Redis struct {
		Addresses []string `yaml:"addresses"`
	} `yaml:"redis"`
	Metrics struct {
		Listen string `yaml:"listen"`
	} `yaml:"metrics"`
}

func text(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func decode[T any](t *testing.T, name string, options ...yaml.DecodeOption) (v T) {
	t.Helper()
	if err := yaml.UnmarshalWithOptions(text(t, name), &v, options...); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return v
}

func readCompose(t *testing.T) compose {
	t.Helper()
	return decode[compose](t, "../docker-compose.yml", yaml.Strict())
}

func TestComposeServices(t *testing.T) {
	c := readCompose(t)
	images := map[string]string{}
	for name, s := range c.Services {
		images[name] = s.Image
	}
	want := map[string]string{
		"kafka": "apache/kafka:4.3.1", "redis": "redis:7",
		"topics": "lockstitch", "lockstitch": "lockstitch", "generate": "lockstitch",
		"prometheus": "prom/prometheus:v3.13.3", "grafana": "grafana/grafana:12.4.4",
	}
	if diff := cmp.Diff(want, images); diff != "" {
		t.Errorf("images (-want +got):\n%s", diff)
	}
	for name, s := range c.Services {
		if foreign := s.Image != "lockstitch"; foreign != (s.Healthcheck != nil) {
			t.Errorf("%s: health check: %v; what isn't ours has one, and our image has nothing to run one with", name, !foreign)
		}
		if h := s.Healthcheck; h != nil && (len(h.Test) < 2 || !strings.HasPrefix(h.Test[0], "CMD") || h.Retries < 1 || h.Interval == "" || h.Timeout == "") {
			t.Errorf("%s: health check %+v isn't whole", name, *h)
		}
		if ours := s.Image == "lockstitch" && s.Build == nil; ours != (s.PullPolicy == "never") {
			t.Errorf("%s: pull policy %q: what is built here, by another service, is on no registry", name, s.PullPolicy)
		}
		for _, port := range s.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("%s: port %s is open to the network", name, port)
			}
		}
	}
}

func TestComposeDependencies(t *testing.T) {
	c := readCompose(t)
	for name, s := range c.Services {
		for on, d := range s.DependsOn {
			target, known := c.Services[on]
			switch {
			case !known:
				t.Errorf("%s depends on %s, which is no service", name, on)
			case d.Condition == "service_healthy" && target.Healthcheck == nil:
				t.Errorf("%s waits for the health of %s, which has no check", name, on)
			case d.Condition == "service_completed_successfully" && target.Restart != "no":
				t.Errorf("%s waits for the end of %s, which is restarted", name, on)
			case d.Condition != "service_healthy" && d.Condition != "service_completed_successfully":
				t.Errorf("%s depends on %s under the condition %q", name, on, d.Condition)
			}
		}
	}
	for _, name := range []string{"topics", "lockstitch", "generate"} {
		if len(c.Services[name].DependsOn) == 0 {
			t.Errorf("%s starts before its Kafka", name)
		}
	}
}

func TestComposeMountsWhatExists(t *testing.T) {
	c := readCompose(t)
	used := map[string]struct{}{}
	for name, s := range c.Services {
		for _, volume := range s.Volumes {
			source, rest, _ := strings.Cut(volume, ":")
			if !strings.HasPrefix(source, "./") {
				used[source] = struct{}{}
				continue
			}
			if _, err := os.Stat(filepath.Join("..", source)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if !strings.HasSuffix(rest, ":ro") {
				t.Errorf("%s: the mounted %s can be written", name, source)
			}
		}
	}
	if diff := cmp.Diff(c.Volumes, used); diff != "" {
		t.Errorf("named volumes (-declared +used):\n%s", diff)
	}
}

func TestImage(t *testing.T) {
	builds := map[string]*build{}
	for name, s := range readCompose(t).Services {
		if s.Build != nil {
			builds[name] = s.Build
		}
	}
	if diff := cmp.Diff(map[string]*build{"topics": {Context: ".", Dockerfile: "deploy/Dockerfile"}}, builds); diff != "" {
		t.Errorf("the image is built once, by whom the others wait for (-want +got):\n%s", diff)
	}
	stages := strings.Split("\n"+string(text(t, "Dockerfile")), "\nFROM ")
	if len(stages) != 3 {
		t.Fatalf("%d stages, want 2", len(stages)-1)
	}
	last := strings.Split(stages[2], "\n")
	if !strings.Contains(last[0], "/distroless/") || !slices.Contains(last, "USER nonroot:nonroot") {
		t.Errorf("the last stage isn't distroless and nonroot:\nFROM %s", stages[2])
	}
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(string(text(t, "../go.mod")))
	if version == nil || !strings.HasPrefix(stages[1], "golang:"+version[1]+" ") {
		t.Errorf("the image isn't built with go.mod's Go, %v", version)
	}
}

func TestLockstitchFindsItsParts(t *testing.T) {
	c, config := readCompose(t), decode[lockstitchConfig](t, "lockstitch.yaml")
	kafka := c.Services["kafka"].Environment
	if want := "PLAINTEXT://" + strings.Join(config.Kafka.Brokers, ","); !slices.Contains(strings.Split(kafka["KAFKA_ADVERTISED_LISTENERS"], ","), want) {
		t.Errorf("the broker doesn't advertise %s", want)
	}
	if kafka["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] != "false" {
		t.Error("the broker makes topics that nobody reviewed")
	}
	if len(config.Redis.Addresses) != 1 || config.Redis.Addresses[0] != "redis:6379" || config.Environment != "dev" {
		t.Errorf("configuration: %+v", config)
	}
	for name, s := range c.Services {
		if s.Image != "lockstitch" {
			continue
		}
		at := slices.Index(s.Command, "--config")
		if at < 0 || at+1 >= len(s.Command) || !slices.Contains(s.Volumes, "./deploy/lockstitch.yaml:"+s.Command[at+1]+":ro") {
			t.Errorf("%s doesn't read the mounted lockstitch.yaml: %v, %v", name, s.Command, s.Volumes)
		}
	}
}

func TestRedisConf(t *testing.T) {
	got := map[string]string{}
	for line := range strings.Lines(string(text(t, "redis.conf"))) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && name != "#" {
			got[name] = value
		}
	}
	want := map[string]string{
		"protected-mode": "no", "dir": "/data", "appendonly": "yes", "appendfsync": "everysec", "save": `""`,
		"maxmemory": "1gb", "maxmemory-policy": "noeviction",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("redis.conf (-want +got):\n%s", diff)
	}
	redis := readCompose(t).Services["redis"]
	if len(redis.Command) != 2 || !slices.Contains(redis.Volumes, "./deploy/redis.conf:"+redis.Command[1]+":ro") || !slices.Contains(redis.Volumes, "redis:/data") {
		t.Errorf("the server doesn't read the file, or keeps its data elsewhere: %v, %v", redis.Command, redis.Volumes)
	}
}

func TestPrometheusScrapesLockstitch(t *testing.T) {
	p := decode[prometheusConfig](t, "prometheus.yml", yaml.Strict())
	if len(p.ScrapeConfigs) != 1 || len(p.ScrapeConfigs[0].StaticConfigs) != 1 {
		t.Fatalf("scrape configurations: %+v", p.ScrapeConfigs)
	}
	job := p.ScrapeConfigs[0]
	listen := decode[lockstitchConfig](t, "lockstitch.yaml").Metrics.Listen
	if diff := cmp.Diff([]string{"lockstitch" + listen}, job.StaticConfigs[0].Targets); diff != "" {
		t.Errorf("targets (-where Lockstitch listens +scraped):\n%s", diff)
	}
	if !job.ScrapeNativeHistograms || len(job.ScrapeProtocols) == 0 || job.ScrapeProtocols[0] != "PrometheusProto" {
		t.Errorf("lockstitch_stage_seconds is a native histogram: %+v", job)
	}
}

// TestAlerts: each metric of the runbook's table of alerts has one in alerts.yml, and
// the other way round; each says what to read.
func TestAlerts(t *testing.T) {
	type rules struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For string
				Labels           map[string]string
				Annotations      map[string]string
			}
		}
	}
	p := decode[prometheusConfig](t, "prometheus.yml")
	if volumes := readCompose(t).Services["prometheus"].Volumes; len(p.RuleFiles) != 1 || !slices.Contains(volumes, "./deploy/"+p.RuleFiles[0]+":/etc/prometheus/"+p.RuleFiles[0]+":ro") {
		t.Errorf("rules %v aren't mounted: %v", p.RuleFiles, volumes)
	}
	runbook := string(text(t, "../docs/runbook.md"))
	table, _, _ := strings.Cut(runbook[strings.Index(runbook, "| metric | what it means | alert when |"):], "\n\n")
	want, got := map[string]bool{}, map[string]bool{"lockstitch_partitions_owned": true, "lockstitch_ingested_total": true}
	for _, row := range strings.Split(table, "\n")[2:] {
		want[strings.Split(row, "`")[1]] = true
	}
	want["lockstitch_partitions_owned"], want["lockstitch_ingested_total"] = true, true // compared with
	for _, group := range decode[rules](t, "alerts.yml", yaml.Strict()).Groups {
		for _, r := range group.Rules {
			for _, name := range regexp.MustCompile(`\b(?:lockstitch_[a-z_]+|up)\b`).FindAllString(r.Expr, -1) {
				got[name] = true
			}
			_, anchor, _ := strings.Cut(r.Annotations["runbook"], "docs/runbook.md#")
			heading := regexp.MustCompile(`(?mi)^#+ ` + strings.ReplaceAll(regexp.QuoteMeta(anchor), "-", "[ -]") + `$`)
			if anchor == "" || !heading.MatchString(runbook) || r.Annotations["summary"] == "" || r.Labels["severity"] == "" {
				t.Errorf("%s doesn't say what to read, or how urgent it is: %+v", r.Alert, r)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metrics (-runbook's table +alerts.yml):\n%s", diff)
	}
}

func TestGrafanaIsProvisioned(t *testing.T) {
	type sources struct {
		APIVersion  int `yaml:"apiVersion"`
		Datasources []struct {
			Name, UID, Type, Access, URL string
			IsDefault                    bool           `yaml:"isDefault"`
			JSONData                     map[string]any `yaml:"jsonData"`
		} `yaml:"datasources"`
	}
	type dashboards struct {
		APIVersion int `yaml:"apiVersion"`
		Providers  []struct {
			Name, Type     string
			AllowUIUpdates bool `yaml:"allowUiUpdates"`
			Options        struct{ Path string }
		} `yaml:"providers"`
	}
	d := decode[sources](t, "grafana/provisioning/datasources/prometheus.yml", yaml.Strict())
	if len(d.Datasources) != 1 || d.Datasources[0].URL != "http://prometheus:9090" || d.Datasources[0].UID != "prometheus" {
		t.Errorf("data sources: %+v", d.Datasources)
	}
	if step := decode[prometheusConfig](t, "prometheus.yml").Global.ScrapeInterval; d.Datasources[0].JSONData["timeInterval"] != step {
		t.Errorf("Grafana takes the step for %v, Prometheus scrapes every %s", d.Datasources[0].JSONData["timeInterval"], step)
	}
	p := decode[dashboards](t, "grafana/provisioning/dashboards/lockstitch.yml", yaml.Strict())
	if len(p.Providers) != 1 {
		t.Fatalf("providers: %+v", p.Providers)
	}
	grafana := readCompose(t).Services["grafana"]
	for _, mount := range []string{"provisioning:/etc/grafana/provisioning", "dashboards:" + p.Providers[0].Options.Path} {
		if !slices.Contains(grafana.Volumes, "./deploy/grafana/"+mount+":ro") {
			t.Errorf("%s isn't mounted: %v", mount, grafana.Volumes)
		}
	}
	if home := grafana.Environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]; home != p.Providers[0].Options.Path+"/lockstitch.json" {
		t.Errorf("the first page is %s", home)
	}
}

type dashboard struct {
	UID    string  `json:"uid"`
	Panels []panel `json:"panels"`
}

type panel struct {
	ID          int    `json:"id"`
	Title       string `json:"title"`
	Description string `json:"description"`
	Datasource  struct {
		UID string `json:"uid"`
	} `json:"datasource"`
	Targets []struct {
		Expr   string `json:"expr"`
		Legend string `json:"legendFormat"`
	} `json:"targets"`
}

// In a query of the dashboard: the names of metrics, and those of labels in
// by (…) and in a legend's braces.
var (
	metricName = regexp.MustCompile(`\blockstitch_\w+`)
	byLabels   = regexp.MustCompile(`\bby \(([^)]*)\)`)
	legend     = regexp.MustCompile(`\{\{(\w+)\}\}`)
)

func TestDashboardNamesWhatLockstitchExposes(t *testing.T) {
	var d dashboard
	if err := json.Unmarshal(text(t, "grafana/dashboards/lockstitch.json"), &d); err != nil {
		t.Fatal(err)
	}
	used, ids := map[string]bool{}, map[int]bool{}
	for _, p := range d.Panels {
		if ids[p.ID] || p.Datasource.UID != "prometheus" || len(p.Targets) == 0 {
			t.Errorf("panel %d, %q: its ID is taken, its data source another, or it has no query", p.ID, p.Title)
		}
		ids[p.ID] = true
		for _, target := range p.Targets {
			names := metricName.FindAllString(target.Expr, -1)
			if len(names) == 0 {
				t.Errorf("panel %q asks for nothing of ours: %s", p.Title, target.Expr)
			}
			var labels []string
			for _, name := range names {
				used[name] = true
				labels = append(labels, metrics[name]...)
			}
			for _, label := range asked(target.Expr, target.Legend) {
				if !slices.Contains(labels, label) {
					t.Errorf("panel %q: none of %v has the label %q", p.Title, names, label)
				}
			}
		}
	}
	want, got := slices.Sorted(maps.Keys(metrics)), slices.Sorted(maps.Keys(used))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metrics (-exposed +in the dashboard):\n%s", diff)
	}
}

// asked gives the labels that a query groups by and that its legend shows.
func asked(expr, title string) (labels []string) {
	for _, by := range byLabels.FindAllStringSubmatch(expr, -1) {
		for label := range strings.SplitSeq(by[1], ",") {
			labels = append(labels, strings.TrimSpace(label))
		}
	}
	for _, name := range legend.FindAllStringSubmatch(title, -1) {
		labels = append(labels, name[1])
	}
	return labels
}
