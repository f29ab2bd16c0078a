#!/usr/bin/env bash
# Speed beside llama.cpp b11434 in one run: both engines in turn, round by round, then the medians of
# the ratios. Keep the machine otherwise idle.
#   compare_peer.sh MODEL.gguf...
# Environment: PEER_DIR (where ../shared/tools/peer.sh built the peer; built there if absent),
# THREADS (2), ROUNDS (5), DEPTHS ("0 7680"). At a depth above 0 our cache is turbo_kv_4b, theirs f16.
# Peers with and without AMX: see docs/performance.md.
set -euo pipefail
cd "$(dirname "$0")/.."
case ${1:-} in "" | -*) sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2 ;; esac
for model in "$@"; do
  [ -r "$model" ] || { echo "$model: cannot be read" >&2; exit 4; }
done
peer=${PEER_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/quant/peer}
threads=${THREADS:-2} rounds=${ROUNDS:-5} depths=${DEPTHS:-0 7680}
prompt=512 generated=32

if [ ! -x "$peer/bin/llama-bench" ]; then
  [ -x ../shared/tools/peer.sh ] || { echo "no peer in $peer: set PEER_DIR" >&2; exit 4; }
  ../shared/tools/peer.sh "$peer" >&2
fi
tools/install_deps.sh
cmake --preset release >/dev/null
ninja -C build quant >&2

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
for model in "$@"; do
  for depth in $depths; do
    types=(); [ "$depth" -eq 0 ] || types=(-k turbo_kv_4b -v turbo_kv_4b)
    for round in $(seq "$rounds"); do
      echo "$(basename "$model"), depth $depth, round $round of $rounds" >&2
      name=$results/$(basename "$model")@$depth@$round
      build/quant bench "$model" -j "$threads" -p $prompt -n $generated -d "$depth" -r 1 "${types[@]}" \
        --json -o "$name.ours"
      "$peer/bin/llama-bench" -m "$model" -t "$threads" -p $prompt -n $generated -d "$depth" -r 1 -o json \
        >"$name.theirs" 2>"$results/peer.log" || { cat "$results/peer.log" >&2; exit 1; }
    done
  done
done
python3 bench/peer_table.py "$results"
