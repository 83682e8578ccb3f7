# Every target works on a fresh clone: what it needs beyond Go comes from the module proxy, pinned in internal/*.mod.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
FUZZTIME ?= 10s
BENCH    ?=

# The image, for which architectures, and when it was made: the commit's time, so that the same commit makes the same image.
IMAGE             ?= localhost/eso-tenant:dev
CONTROLLER_IMAGE  ?= localhost/eso-tenant-controller:dev
ARCHS             ?= $(shell go env GOARCH)
REVISION          ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)

# One setting for all builds, or each would compile the dependencies anew. No version control stamp: the version is passed
# in, and a checkout that belongs to another user would not build.
export CGO_ENABLED := 0
export GOFLAGS     := $(GOFLAGS) -buildvcs=false

BIN     := $(CURDIR)/.cache/bin
TOOL    := go tool -modfile=internal/tools.mod
LDFLAGS := -s -w -X main.version=$(VERSION)

# Tests that run kustomize find it here; without it they look at PATH.
export KUSTOMIZE ?= $(BIN)/kustomize

.DEFAULT_GOAL := help

.PHONY: help
help: ## what can be made
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## bin/eso-tenant, static
	go build -trimpath -ldflags "$(LDFLAGS)" -o bin/eso-tenant ./cmd/eso-tenant

.PHONY: controller
controller: ## bin/eso-tenant-controller, static
	go build -trimpath -ldflags "$(LDFLAGS)" -o bin/eso-tenant-controller ./cmd/eso-tenant-controller

.PHONY: manifests
manifests: ## the controller's CustomResourceDefinition and deep copies, from its Go types
	$(TOOL) controller-gen object:headerFile=/dev/null crd:crdVersions=v1 paths=./internal/controller/v1alpha1/... \
	  output:crd:dir=deploy/crd output:object:dir=internal/controller/v1alpha1

.PHONY: image
image: ## the KRM function as a container image IMAGE, for ARCHS, by CONTAINER (podman or docker)
	rm -rf bin/image
	for arch in $(ARCHS); do \
	  GOOS=linux GOARCH=$$arch go build -trimpath -ldflags "$(LDFLAGS)" -o bin/image/$$arch/eso-tenant ./cmd/eso-tenant; \
	done
	cp internal/image/passwd internal/image/group bin/image
	chmod -R u=rwX,go=rX bin/image
	IMAGE="$(IMAGE)" ARCHS="$(ARCHS)" VERSION="$(VERSION)" REVISION="$(REVISION)" SOURCE_DATE_EPOCH="$(SOURCE_DATE_EPOCH)" \
	  CONTAINER="$(CONTAINER)" internal/image/build

.PHONY: controller-image
controller-image: ## the controller as a container image CONTROLLER_IMAGE, in the same way
	rm -rf bin/controller-image
	for arch in $(ARCHS); do \
	  GOOS=linux GOARCH=$$arch go build -trimpath -ldflags "$(LDFLAGS)" -o bin/controller-image/$$arch/eso-tenant-controller ./cmd/eso-tenant-controller; \
	done
	cp internal/image/passwd internal/image/group bin/controller-image
	chmod -R u=rwX,go=rX bin/controller-image
	IMAGE="$(CONTROLLER_IMAGE)" ARCHS="$(ARCHS)" VERSION="$(VERSION)" REVISION="$(REVISION)" SOURCE_DATE_EPOCH="$(SOURCE_DATE_EPOCH)" \
	  CONTAINER="$(CONTAINER)" internal/image/build Dockerfile.controller bin/controller-image

.PHONY: image-test
image-test: tools ## the image, built by podman and run as kustomize runs it (installs podman where that can be done)
	internal/image/test

.PHONY: plugins
plugins: ## archives and manifests of the plugins for flux and kubectl, for PLATFORMS, in bin/plugins
	go run ./internal/plugins -version "$(VERSION)" $(if $(PLATFORMS),-platforms "$(PLATFORMS)") -o bin/plugins

.PHONY: test
test: tools ## the fast tests
	go test ./...

.PHONY: chart-test
chart-test: ## ESO's own charts, rendered by Helm, held to what we say of them
	cd internal/chartcheck && go mod tidy -diff && go vet ./... && go test ./...

.PHONY: admission-test
admission-test: ## the admission policies, decided on by the API server's own evaluator
	cd internal/admissioncheck && go mod tidy -diff && go vet ./... && go test ./...

# Modules below internal/e2e: the test bed itself, Kubernetes' authorizer, and one for each component, whose versions clash.
E2E_MODULES := internal/e2e internal/e2e/oracle $(wildcard internal/e2e/components/*)

.PHONY: e2e
e2e: ## the fence on real components: builds them, which takes a quarter of an hour once, starts them, tests, stops
	for module in $(E2E_MODULES); do (cd $$module && go mod tidy -diff) || exit 1; done
	cd internal/e2e/oracle && go vet ./... && go test ./...
	cd internal/e2e && go vet ./... && go run ./cmd/testbed test

.PHONY: e2e-up
e2e-up: ## leave a fenced playground running, and say what to try
	cd internal/e2e && go run ./cmd/testbed up

.PHONY: e2e-down
e2e-down: ## end the playground
	cd internal/e2e && go run ./cmd/testbed down
.PHONY: gatekeeper-test
gatekeeper-test: ## the same decisions, by Gatekeeper's own engines
	cd internal/gatekeepercheck && go mod tidy -diff && go vet ./... && go test -short ./...

.PHONY: gatekeeper-mutation
gatekeeper-mutation: ## each part of each template is missed by some row; takes minutes, so the pipeline leaves it out
	cd internal/gatekeepercheck && go test -timeout 30m -run 'TestEveryRule' ./...

.PHONY: race
race: tools ## the tests of the packages that use goroutines, under the race detector (needs a C compiler)
	CGO_ENABLED=1 go test -race -short $$(grep -rlE --include='*.go' --exclude-dir=e2e '(^|[^[:alnum:]_.])go func|\b(sync|errgroup)\.' . \
	  | grep -v '^./\.' | xargs -r -n1 dirname | sort -u)

.PHONY: lint
lint: ## go vet and the other linters of .golangci.yaml
	$(TOOL) golangci-lint run ./...
	linter=$$($(TOOL) -n golangci-lint) && cd internal/e2e && $$linter run ./... && cd oracle && $$linter run ./...

.PHONY: fmt
fmt: ## format Go files in place
	$(TOOL) golangci-lint fmt

.PHONY: golden
golden: tools manifests ## rewrite the golden files, and what is generated, from what the code does now
	UPDATE_GOLDEN=1 go test ./...

.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME
	@go test -list '^Fuzz' ./... | awk '/^Fuzz/ { names[n++] = $$1 } /^ok/ { for (i = 0; i < n; i++) print $$2, names[i]; n = 0 }' | \
	while read -r package name; do \
	  echo "$$package $$name"; \
	  go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "$$package" || exit 1; \
	done

.PHONY: examples
examples: build ## render each example that has a Platform
	@out=$$(mktemp -d); trap 'rm -rf "$$out"' EXIT; \
	for example in examples/*/; do \
	  grep -qrs --include='*.yaml' '^kind: Platform' "$$example" || continue; \
	  bin/eso-tenant render "$$example" -o "$$out/$$example" || exit 1; \
	done

.PHONY: bench
bench: jq ## CPU time and memory beside helm, jsonnet, cue and jq; BENCH holds its flags
	go run ./internal/bench $(BENCH)

.PHONY: jq
jq: ## jq, beside which audit is measured, by apt-get where there is none
	@command -v jq > /dev/null || { apt-get update && apt-get install --yes --no-install-recommends jq; }

.PHONY: tools
tools: $(BIN)/kustomize ## what tests run besides Go

$(BIN)/kustomize: internal/tools.mod
	go build -modfile=$< -o $@ sigs.k8s.io/kustomize/kustomize/v5

.PHONY: clean
clean: ## remove all that was built
	rm -rf bin .cache

.PHONY: ci
ci: ## all that the pipeline runs
	.ci/run
