#!/usr/bin/env bash
# test.sh runs every test and skips none. `make test` and CI run it.
set -euo pipefail
cd "$(dirname "$0")/.."
export GO=${GO:-go}
PROGRAM='make test'
. scripts/lib.sh

scripts/setup.sh race node browser postgres guides

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say 'go vet'
"$GO" vet ./...
"$GO" -C tools vet ./testsum
"$GO" -C tools test ./testsum
# Not stamped with the commit: git refuses to tell one in a tree of another user.
"$GO" -C tools build -buildvcs=false -o "$work/testsum" ./testsum

# Tests that a plain `go test ./...` may skip, for lack of Node.js, a browser or
# PostgreSQL, fail here if they cannot run: that is what these ask of them.
export SIXDIGIT_TEST_ALL=1 SIXDIGIT_REQUIRE_POSTGRES=1
# The race detector allocates on its own account, so that what calls cost is
# measured without it, here alone. Nothing of it is a time: a busy machine may run it.
say 'what each call costs: allocations, bytes, statements'
"$work/testsum" "$GO" test -json -vet=off -count=1 ./internal/costs
# A test that shuffles prints its order's seed only when it fails; this one is
# known before, and a run that ended in any way can be repeated.
seed=${SHUFFLE:-$(date +%s)}
say "go test -race, shuffled by $seed (make test SHUFFLE=$seed repeats the order)"
# vet has run already.
CGO_ENABLED=1 "$work/testsum" "$GO" test -json -vet=off -race -shuffle="$seed" ./...
say 'all passed: go vet, go test -race, the floors, what calls cost, the interop tests against the published packages, the stores on SQLite and PostgreSQL, and the demo in a browser.'
