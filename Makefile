# What people run. CI runs the same targets (.ci/run).

SHELL       = bash
.SHELLFLAGS = -eu -o pipefail -c

LINT     = go tool -modfile=tools/go.mod golangci-lint

EXECS     = 3000
SCHEDULES = 100000

.PHONY: help demo build test race sim e2e chaos bench mutants fuzz lint
.DEFAULT_GOAL := help

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## /{printf "  make %-7s  %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## the whole pipeline on this machine, no Kafka and no Redis needed
	go run ./cmd/lockstitch demo

build: ## the binary, in bin/
	CGO_ENABLED=0 go build -trimpath -o bin/lockstitch ./cmd/lockstitch

test: ## all tests that need nothing but Go
	go test ./...

race: ## the same under the race detector, as CI runs them
	go test -race -timeout 15m ./...

# -p 1: each package has brokers of its own, and they would starve each other.
sim: ## SCHEDULES=100000 seeded schedules of kills, zombies and a forgetful Redis
	go test -count=1 -timeout 3h ./pkg/engine -run '^TestSimulator$$' -v -sim.schedules $(SCHEDULES)

e2e: ## real Kafka and Redis, killed and started again (needs java, mvn, redis-server, kcat)
	go test -tags e2e -count=1 -p 1 -timeout 35m ./e2e/... ./pkg/redis

chaos: ## five minutes of seeded faults over real processes, then all is judged (CHAOS="--for 1h --seed 7")
	go run -tags e2e ./chaos $(CHAOS)

bench: ## throughput against the bare copy, on real Kafka and Redis
	go run -tags e2e ./bench

mutants: ## take each safeguard away: a test has to fail (some minutes)
	go test -tags mutants -count=1 -timeout 60m -v ./mutants

# Counted, not timed: where a timed run ends, Go before 1.27 now and then reports a
# failure that is none (golang/go#75804). A stream is the work of ten records.
fuzz: ## every fuzz target: EXECS=3000 streams, ten times as many records
	@targets=$$(go test -list '^Fuzz' ./... | awk '/^Fuzz/{f[n++]=$$1} /^ok/{for(i=0;i<n;i++)print $$2" "f[i]} !/^Fuzz/{n=0}'); \
	test -n "$$targets" || { echo "no fuzz target found" >&2; exit 1; }; \
	echo "$$targets" | while read -r pkg name; do \
		case $$name in FuzzStream) n=$(EXECS) ;; *) n=$(EXECS)0 ;; esac; \
		echo "fuzz $$pkg $$name $$n"; \
		go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $${n}x -fuzzminimizetime 10x $$pkg; \
	done

lint: ## golangci-lint, built from tools/go.mod
	$(LINT) run ./...
