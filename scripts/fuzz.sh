#!/usr/bin/env bash
# fuzz.sh runs every fuzz target for FUZZTIME, one after the other, and goes on
# after a finding. FUZZ, a regular expression, picks some of them by name.
set -euo pipefail
cd "$(dirname "$0")/.."
GO=${GO:-go}
PROGRAM='make fuzz'
. scripts/lib.sh

# go test -list prints a package's targets and then a line "ok <package> …".
targets=$("$GO" test -list '^Fuzz' ./... | awk '
  /^Fuzz/ { names[++n] = $1 }
  /^ok/   { for (i = 1; i <= n; i++) print $2, names[i]; n = 0 }')
targets=$(printf '%s\n' "$targets" | grep -E "${FUZZ:-.}" || true)
[ -n "$targets" ] || die "no fuzz target matches '${FUZZ:-.}'."

found=()
count=0
while read -r package name; do
  count=$((count + 1))
  say "$name of $package, ${FUZZTIME:=1m}"
  "$GO" test -run '^$' -fuzz "^$name\$" -fuzztime "$FUZZTIME" "$package" </dev/null || found+=("$package $name")
done <<<"$targets"

if [ ${#found[@]} -gt 0 ]; then
  printf '%s\n' "${found[@]}"
  die "${#found[@]} of $count targets found something: see above."
fi
say "$count targets, $FUZZTIME each: nothing found."
