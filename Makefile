# Bare `make` prints the targets.
.DEFAULT_GOAL := help
GO ?= go
BIN := bin
PROGRAMS := ovsdb-server ovs-vswitchd sluice

help: ## Show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build the three programs into bin/ (static, no cgo)
	CGO_ENABLED=0 $(GO) build -trimpath -o $(BIN)/ ./cmd/ovsdb-server ./cmd/ovs-vswitchd ./cmd/sluice

deps: ## Install the system packages that demo and tests need (root, Debian 12)
	tests/deps

demo: ## Start a private switch, two containers' worth of namespaces, ping and TCP; clean up
	tests/deps
	$(MAKE) build
	tests/demo

test: ## Install what is needed and run all tests (at most 40 minutes on 2 cores)
	tests/deps
	$(MAKE) build lint unit fuzz-smoke e2e ratchet

lint: ## gofmt, vet, staticcheck, generated files
	tests/lint

unit: ## Unit tests, and the race detector where threads meet
	$(GO) test ./...
	tests/race

fuzz-smoke: ## Each fuzz target, some thousand inputs
	tests/fuzz-smoke

e2e: build ## End-to-end tests in namespaces with stock tools
	SLUICE_E2E=1 $(GO) test -count=1 -timeout 15m ./tests/e2e/...

ratchet: build ## The conformance tests that pass today must go on passing
	tests/autotest/ratchet

conformance: build ## All 1,472 black-box tests of the OVS 3.1 suites; proposes additions to expected.tsv
	tests/autotest/conformance

bench: build ## Packets and TCP against stock, interleaved
	tests/perf/bench

generate: ## Regenerate committed generated files (needs clang-14)
	$(GO) generate ./...

clean: ## Remove what build made
	rm -rf $(BIN)

.PHONY: help build deps demo test lint unit fuzz-smoke e2e ratchet conformance bench generate clean
