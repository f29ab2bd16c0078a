#!/usr/bin/env bash
# What compressed keys cost, for any model: perplexity with FP32, with turbo_kv_4b (flat and with
# the last 128 keys exact) and with uniform_2b (flat and with 128, 256, 512), in contexts of 1K,
# 4K and 8K tokens as far as the model and the text reach.
#   bench/pareto.sh MODEL TEXT [DIR] [VALUES] [TOKENS]
# Prints the tables; leaves report.html and pareto.svg in DIR (default: build/pareto/MODEL-TEXT).
# VALUES is the format of the values (default fp16). Every context length sees the same TOKENS at
# the text's beginning (default 16384: 16 contexts of 1K, 4 of 4K, 2 of 8K; 0 for the whole text).
# May be interrupted and called again.
set -euo pipefail
[ $# -ge 2 ] || { sed -n 's/^#   /usage: /p' "$0" >&2; exit 2; }
for file in "$1" "$2"; do
  [ -r "$file" ] || { echo "$file: cannot be read" >&2; exit 4; }
done
root=$(cd "$(dirname "$0")/.." && pwd)
model=$(realpath "$1")
text=$(realpath "$2")
stem() { basename "${1%.*}"; }
dir=${3:-$root/build/pareto/$(stem "$model")-$(stem "$text")}
values=${4:-fp16}
most=${5:-16384}
quant=$root/build/quant
[ -x "$quant" ] || { echo "$quant is not built yet; tools/quickstart.sh does that" >&2; exit 2; }

field() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }
longest=$("$quant" "$model" --info --json | field context_length)
tokens=$("$quant" tokenize "$model" "$text" --json | field count)
[[ $most =~ ^[0-9]+$ ]] || { echo "TOKENS must be a whole number, not '$most'" >&2; exit 2; }
if [ "$most" -eq 0 ] || [ "$most" -gt "$tokens" ]; then most=$tokens; fi
capped=$((most < tokens))
[ $capped = 0 ] || echo "$text: at most the first $most of $tokens tokens, the rest is left out" >&2

contexts=() reached=0
for context in 1024 4096 8192; do
  # A context that the one before it already filled with all tokens would repeat its rows.
  if [ $context -le "$longest" ] && [ $((capped ? context <= most : most > reached)) = 1 ]; then
    contexts+=("$context")
    reached=$context
  fi
done
[ ${#contexts[@]} -gt 0 ] || contexts=($((longest < most ? longest : most)))

quoted() { printf '"%s"' "$(sed 's/[\\"]/\\&/g' <<<"$1")"; }
rows() {
  printf '\n[[grid]]\ncontexts = [%s]\ntypes = ["%s"]\nk_windows = [%s]\n' "$1" "$2" "$3"
  [ $capped = 0 ] || echo "chunks = $((most / $1))"
}
mkdir -p "$dir"
{
  printf 'models = [%s]\ntexts = [%s]\n' "$(quoted "$model")" "$(quoted "$text")"
  for context in "${contexts[@]}"; do
    rows "$context" fp32/fp32 0
    rows "$context" "turbo_kv_4b/$values" 0,128
    rows "$context" "uniform_2b/$values" 0,128,256,512
  done
} >"$dir/grid.toml"
"$quant" sweep "$dir/grid.toml" -o "$dir" >&2
"$quant" report "$dir"
"$quant" report "$dir" --html -o "$dir/report.html"
"$quant" report "$dir" --svg -o "$dir/pareto.svg"
echo "pictures: $dir/pareto.svg and $dir/report.html" >&2
