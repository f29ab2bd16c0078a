#!/usr/bin/env bash
# Compares the speed of two commits in one run: instructions (callgrind, which repeats to the digit)
# and wall time (both in turn, medians).
#   regress.sh [BEFORE [AFTER]]       default: HEAD~1 and HEAD
# Environment: MODEL (default: the quickstart's), ROUNDS (5), THREADS (2).
set -euo pipefail
cd "$(dirname "$0")/.."
case ${1:-} in -h | --help) sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 0 ;; esac
before=$(git rev-parse --verify --quiet "${1:-HEAD~1}^{commit}") || { echo "no commit ${1:-HEAD~1}" >&2; exit 2; }
after=$(git rev-parse --verify --quiet "${2:-HEAD}^{commit}") || { echo "no commit ${2:-HEAD}" >&2; exit 2; }
rounds=${ROUNDS:-5} threads=${THREADS:-2}
command -v valgrind >/dev/null || { echo "valgrind is missing: apt-get install valgrind" >&2; exit 4; }
tools/install_deps.sh
model=${MODEL:-$(tools/fetch_model.sh)}

build() {  # commit: prints its binary
  local tree=.cache/regress/$1
  [ -d "$tree" ] || git worktree add --quiet --detach "$tree" "$1"
  cmake -S "$tree" -B "$tree/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DQUANT_BUILD_TESTS=OFF >/dev/null
  ninja -C "$tree/build" quant >&2
  echo "$tree/build/quant"
}
old=$(build "$before")
new=$(build "$after")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# valgrind knows no AVX-512. One thread, or waiting threads would be counted.
instructions() {  # binary, further options
  valgrind --tool=callgrind --callgrind-out-file=/dev/null "$1" "$model" --ppl bench/data/ppl_1k.txt \
    --isa avx2 -j 1 --chunks 1 "${@:2}" 2>&1 >/dev/null | sed -n 's/.*Collected : //p'
}
row() { awk -v n="$1" -v a="$2" -v b="$3" 'BEGIN { printf "| %s | %s | %s | %.4f |\n", n, a, b, b / a }'; }

echo "before: $(git log -1 --format='%h %s' "$before")"
echo "after:  $(git log -1 --format='%h %s' "$after")"
echo
echo "| what | before | after | after / before |"
echo "|---|---|---|---|"
echo "counting instructions" >&2
for math in fast exact; do
  row "instructions, $math, batch 32" "$(instructions "$old" -c 33 --math $math)" "$(instructions "$new" -c 33 --math $math)"
  row "instructions, $math, batch 1" "$(instructions "$old" -c 9 -b 1 --math $math)" "$(instructions "$new" -c 9 -b 1 --math $math)"
done
for round in $(seq "$rounds"); do
  echo "timing, round $round of $rounds" >&2
  "$old" bench "$model" -j "$threads" -r 1 --json -o "$work/before.$round"
  "$new" bench "$model" -j "$threads" -r 1 --json -o "$work/after.$round"
done
median() {  # before or after, field
  python3 -c "import json, statistics, sys; print(statistics.median(json.load(open(f))['rows'][0][sys.argv[1]] for f in sys.argv[2:]))" "$2" "$work/$1".*
}
for step in prefill decode; do
  row "$step, tokens/s, median of $rounds" "$(median before ${step}_tokens_per_second)" "$(median after ${step}_tokens_per_second)"
done
