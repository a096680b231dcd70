# Functions that the scripts share. Sourced, not run.
# shellcheck shell=bash

say() { printf '%s: %s\n' "${PROGRAM:-make}" "$*"; }

die() {
  say "$*" >&2
  exit 1
}

# has_cc reports whether cgo, which go test -race is built with, can compile.
# A compiler without the C library's headers is of no use.
has_cc() {
  local cc
  cc=$("$GO" env CC)
  # The words of CC are a command and its flags.
  # shellcheck disable=SC2086
  printf '#include <stdlib.h>\nint main(void) { return 0; }\n' | $cc -x c -o /dev/null - >/dev/null 2>&1
}

# has_browser reports whether there is a Chromium that starts. A command of the
# name alone is of no use: some systems have one that only offers to install it.
has_browser() {
  local name
  for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null && "$name" --version >/dev/null 2>&1; then
      return 0
    fi
  done
  return 1
}

# has_postgres reports whether a PostgreSQL server can be made: where Debian has
# its programs, or on PATH.
has_postgres() {
  local initdb
  for initdb in /usr/lib/postgresql/*/bin/initdb initdb; do
    if command -v "$initdb" >/dev/null && "$initdb" --version >/dev/null 2>&1; then
      return 0
    fi
  done
  return 1
}

# major prints the first number of a version such as v20.20.2.
major() { printf '%s\n' "$1" | sed -e 's/^[^0-9]*//' -e 's/[^0-9].*//'; }

# install_debian installs Debian packages, and says so first. Whoever may not
# do that here is told the command.
install_debian() {
  local as=()
  local command="apt-get install --no-install-recommends $*"
  if ! command -v apt-get >/dev/null; then
    die "missing, by their names in Debian: $*; install them with this system's package manager and run again (on Debian: $command)."
  fi
  if [ "$(id -u)" -ne 0 ]; then
    sudo -n true 2>/dev/null || die "missing Debian packages: $*; installing them needs root: run 'sudo $command', then run again."
    as=(sudo -n)
  fi
  say "installing the Debian packages: $* (${as[*]:+${as[*]} }$command)"
  # Not "${as[@]} DEBIAN_FRONTEND=…": sudo may refuse to pass variables on.
  "${as[@]}" apt-get -q update || die "apt-get update failed; what it printed says why."
  "${as[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends "$@" ||
    die "installing $* failed; what apt-get printed says why."
}
