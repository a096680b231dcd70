# `make` lists the targets. Each says after ## what it does.

SHELL := /usr/bin/env bash
.DEFAULT_GOAL := help

GO        ?= go
FUZZTIME  ?= 1m
BENCH     ?= .
BENCHTIME ?= 1s
# A seed for the order of the tests; a run prints its own, so that it can be repeated.
SHUFFLE   ?=
# In how many rounds `make crash` kills the service: once in each on SQLite; one, two
# or all of three replicas on PostgreSQL.
ROUNDS    ?= 100
# How long each fault of `make outage` lasts.
OUTAGE    ?= 60s
# Arguments of `make bench`, as in: make bench BENCHARGS='-slice 10s -json'
BENCHARGS ?=
# How many verifications `make bench-full` fills a store with.
FULL      ?= 10000000
# Arguments of `make run` and `make demo`, as in: make run ARGS='connector check my.json'
ARGS      ?=

export GO FUZZTIME SHUFFLE

# The lint tools have a module of their own: users of the library never see it.
GOLANGCI_LINT := $(GO) tool -modfile=tools/go.mod golangci-lint

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: test
test: ## install what the tests need, run them all, skip none
	@scripts/test.sh

.PHONY: test-postgres
test-postgres: ## only the tests that need PostgreSQL, which it installs where it is missing
	@scripts/setup.sh race postgres
	SIXDIGIT_REQUIRE_POSTGRES=1 CGO_ENABLED=1 $(GO) test -race -count=1 ./store/postgres
	SIXDIGIT_REQUIRE_POSTGRES=1 CGO_ENABLED=1 $(GO) test -race -count=1 -run 'Postgres|Replica|Database|Copy' ./internal/app ./cmd/sixdigit

.PHONY: check
check: fmt vet lint test ## everything to run before a commit: fmt, vet, lint, test

.PHONY: fmt
fmt: ## format the Go code
	$(GO) fmt ./...
	$(GO) -C tools fmt ./...

.PHONY: vet
vet: ## run go vet; is go.mod tidy?
	$(GO) vet ./...
	$(GO) mod tidy -diff
	$(GO) -C tools vet ./testsum

.PHONY: lint
lint: ## run golangci-lint; its first run builds it, which takes minutes
	$(GOLANGCI_LINT) run ./...
	$(GO) -C tools tool golangci-lint run --config ../.golangci.yml ./testsum

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (1m), or those that match FUZZ
	@scripts/fuzz.sh

.PHONY: crash
crash: ## kill the service under load in ROUNDS (100) rounds, on SQLite and on PostgreSQL; nothing answered may be lost, nothing sent twice
	@scripts/setup.sh postgres
	SIXDIGIT_REQUIRE_POSTGRES=1 SIXDIGIT_CRASH_ROUNDS=$(ROUNDS) $(GO) test -count=1 -v -parallel 1 -timeout 60m -run '^TestCrash(Postgres)?$$' ./cmd/sixdigit

.PHONY: outage
outage: ## Twilio refuses, hangs and throttles for OUTAGE (60s) each, under load; in about 7 minutes
	SIXDIGIT_OUTAGE=$(OUTAGE) $(GO) test -count=1 -v -timeout 30m -run '^TestOutage$$' ./cmd/sixdigit

.PHONY: bench
bench: ## measure the service on each store beside its floors, and the program, in about eight minutes; BENCHARGS go to it
	$(GO) run ./internal/bench $(BENCHARGS)

.PHONY: bench-full
bench-full: ## measure a store of FULL (10000000) verifications beside an empty one, and its purge; 25 GB of disk
	$(GO) run ./internal/bench -full $(FULL) -purge -slice 10s $(BENCHARGS)

.PHONY: microbench
microbench: ## run the packages' benchmarks that match BENCH (.)
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchtime '$(BENCHTIME)' -benchmem ./...

.PHONY: costs
costs: ## measure what each call costs, and write it down as what it may cost (docs/performance.md)
	@scripts/setup.sh postgres
	SIXDIGIT_REQUIRE_POSTGRES=1 $(GO) test -count=1 -run '^TestCosts$$' ./internal/costs -args -write

.PHONY: interop
interop: ## ask the published packages: only the tests that need Node.js
	@scripts/setup.sh node
	SIXDIGIT_TEST_ALL=1 $(GO) test -count=1 -v ./interop

.PHONY: build
build: ## build ./sixdigit, one static binary
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o sixdigit ./cmd/sixdigit

.PHONY: run
run: build ## build, then run ./sixdigit with ARGS
	./sixdigit $(ARGS)

.PHONY: demo
demo: ## a whole verification on this machine, without an account
	$(GO) run ./cmd/sixdigit demo $(ARGS)

.PHONY: sim
sim: ## the simulated Twilio alone
	$(GO) run ./cmd/sixdigit twilio-sim $(ARGS)

.PHONY: clean
clean: ## remove what the other targets made
	rm -rf sixdigit dist interop/node_modules
	find . -path ./.git -prune -o \( -name '*.test' -o -name '*.prof' \) -type f -exec rm -f {} +
