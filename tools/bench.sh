#!/usr/bin/env bash
# Runs the benchmarks that match $BENCH in $BENCHPKG, $COUNT times. With a
# commit as argument it runs that commit's too, and prints the difference.
set -euo pipefail
cd "$(dirname "$0")/.."

run() { "${GO:-go}" test -run '^$' -bench "${BENCH:-.}" -benchmem -count "${COUNT:-6}" ${BENCHPKG:-./...}; }

if [ $# -eq 0 ]; then
	run | tee bench.txt
	exit
fi
scratch=$(mktemp -d)
trap 'git worktree remove --force "$scratch/old"; rm -rf "$scratch"' EXIT
git worktree add --quiet --detach "$scratch/old" "$1"
(cd "$scratch/old" && run) >"$scratch/old.txt"
run >"$scratch/new.txt"
"${GO:-go}" run golang.org/x/perf/cmd/benchstat@latest "$1=$scratch/old.txt" "now=$scratch/new.txt"
