#!/usr/bin/env bash
# setup.sh [race] [node] [browser] [postgres] [guides]: installs what these need and this
# machine lacks.
#
#   race     a C compiler, which go test -race is built with
#   node     Node.js, npm and the packages of interop/package-lock.json
#   browser  Chromium, in which the demo's page is tested
#   postgres PostgreSQL's server programs; the tests start servers of their own
#   guides   curl and openssl, which the guides in docs/integrations call
#
# It says what it is about to install before it does, and does nothing when
# all is there.
set -euo pipefail
cd "$(dirname "$0")/.."
GO=${GO:-go}
PROGRAM=setup
. scripts/lib.sh

# The oldest that the tests were seen to pass with: what Debian 12 has.
readonly NODE_MIN=18
readonly NPM_MIN=9

check_go() {
  local version min
  min=$(sed -n 's/^go 1\.\([0-9]*\).*/\1/p' go.mod)
  command -v "$GO" >/dev/null || die "Go is missing: install Go 1.$min or newer, then run again."
  version=$("$GO" env GOVERSION) || die "Go cannot work here; what it printed says why."
  case $version in
    go1.*) ;;
    *) return 0 ;; # a development version
  esac
  [ "$(major "${version#go1.}")" -ge "$min" ] || die "$version is too old: install Go 1.$min or newer, then run again."
}

check_node() {
  local version
  version=$(node --version)
  [ "$(major "$version")" -ge "$NODE_MIN" ] ||
    die "node $version ($(command -v node)) is too old: install Node.js $NODE_MIN or newer, then run again."
  version=$(npm --version)
  [ "$(major "$version")" -ge "$NPM_MIN" ] ||
    die "npm $version ($(command -v npm)) is too old: install npm $NPM_MIN or newer, then run again."
}

# npm_ci installs the locked packages, unless this very lockfile already was.
npm_ci() {
  local stamp=node_modules/.installed
  cd interop
  if [ -f "$stamp" ] && cmp -s package-lock.json "$stamp"; then
    cd ..
    return
  fi
  say "installing the npm packages of interop/package-lock.json into interop/node_modules (npm ci)"
  # Some packages ask for a newer Node.js than they need, which npm warns of at
  # length: errors alone are shown.
  npm ci --loglevel=error || die "npm ci failed; what it printed says why."
  cp package-lock.json "$stamp"
  cd ..
}

want_race='' want_node='' want_browser='' want_postgres='' want_guides=''
for want in "$@"; do
  case $want in
    race) want_race=1 ;;
    node) want_node=1 ;;
    browser) want_browser=1 ;;
    postgres) want_postgres=1 ;;
    guides) want_guides=1 ;;
    *) die "unknown need '$want': the needs are race, node, browser, postgres and guides." ;;
  esac
done

check_go
missing=()
# A compiler that somebody chose with CC is theirs to mend.
if [ -n "$want_race" ] && [ "$("$GO" env CC)" = gcc ] && ! has_cc; then
  missing+=(gcc libc6-dev)
fi
if [ -n "$want_node" ]; then
  # Debian's npm depends on its nodejs; other builds of Node.js bring their npm.
  command -v node >/dev/null || missing+=(nodejs)
  command -v npm >/dev/null || missing+=(npm)
fi
if [ -n "$want_browser" ] && ! has_browser; then
  missing+=(chromium)
fi
if [ -n "$want_postgres" ] && ! has_postgres; then
  missing+=(postgresql)
fi
if [ -n "$want_guides" ]; then
  command -v curl >/dev/null || missing+=(curl)
  command -v openssl >/dev/null || missing+=(openssl)
fi
if [ ${#missing[@]} -gt 0 ]; then
  install_debian "${missing[@]}"
  hash -r
fi
if [ -n "$want_race" ]; then
  has_cc || die "the C compiler '$("$GO" env CC)' cannot compile a C program, which go test -race needs: repair it (on Debian: apt-get install gcc libc6-dev) or set CC."
fi
if [ -n "$want_node" ]; then
  check_node
  npm_ci
fi
if [ -n "$want_browser" ]; then
  has_browser || die "Chromium does not start, in which the demo's page is tested: repair it (on Debian: apt-get install chromium)."
fi
if [ -n "$want_postgres" ]; then
  has_postgres || die "PostgreSQL's initdb does not run, with which the tests make servers: repair it (on Debian: apt-get install postgresql)."
fi
