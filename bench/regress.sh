#!/usr/bin/env bash
# Compares the speed of two commits in one run: instructions a token (callgrind, which repeats to the
# digit) and wall time (both in turn, medians).
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

# Of the tokens between two contexts: what loading and hashing the model takes cancels out. valgrind
# knows no AVX-512. One thread, or waiting threads would be counted.
instructions() {  # binary, context, longer context, further options
  local counted=()
  for context in "$2" "$3"; do
    counted+=("$(valgrind --tool=callgrind --callgrind-out-file=/dev/null "$1" "$model" --ppl bench/data/ppl_1k.txt \
      --isa avx2 -j 1 --chunks 1 -c "$context" "${@:4}" 2>&1 >/dev/null | sed -n 's/.*Collected : //p')")
  done
  echo $(((counted[1] - counted[0]) / ($3 - $2)))
}
row() { awk -v n="$1" -v a="$2" -v b="$3" 'BEGIN { printf "| %s | %.9g | %.9g | %.4f |\n", n, a, b, b / a }'; }
count() {  # what, context, longer context, further options
  echo "counting instructions, $1" >&2
  row "instructions a token, $1" "$(instructions "$old" "${@:2}")" "$(instructions "$new" "${@:2}")"
}
packed=(-k turbo_kv_4b -v turbo_kv_4b)

echo "before: $(git log -1 --format='%h %s' "$before")"
echo "after:  $(git log -1 --format='%h %s' "$after")"
echo
echo "| what | before | after | after / before |"
echo "|---|---|---|---|"
for math in fast exact; do
  count "$math, batch 32" 33 65 -b 32 --math $math
  count "$math, batch 1" 9 17 -b 1 --math $math
done
count "fast, batch 32 after 256 of turbo_kv_4b" 257 289 -b 32 --math fast "${packed[@]}"
count "fast, batch 1 after 256 of turbo_kv_4b" 257 265 -b 1 --math fast "${packed[@]}"

depth=4096
for round in $(seq "$rounds"); do
  echo "timing, round $round of $rounds" >&2
  for engine in before after; do
    binary=$old; [ $engine = before ] || binary=$new
    "$binary" bench "$model" -j "$threads" -d 0,$depth "${packed[@]}" -r 1 --json -o "$work/$engine.$round"
  done
done
median() {  # before or after, row, field
  python3 -c "import json, statistics, sys; print(statistics.median(json.load(open(f))['rows'][int(sys.argv[1])][sys.argv[2]] for f in sys.argv[3:]))" "$2" "$3" "$work/$1".*
}
for step in prefill decode; do
  for index in 0 1; do
    field=${step}_tokens_per_second
    row "$step at $((index * depth)), tokens/s, median of $rounds" "$(median before $index $field)" "$(median after $index $field)"
  done
done
