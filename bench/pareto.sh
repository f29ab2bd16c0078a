#!/usr/bin/env bash
# What compressed keys cost, for any model: perplexity with FP32, with turbo_kv_4b (flat and with
# the last 128 keys exact) and with uniform_2b (flat and with 128, 256, 512), in contexts of 1K,
# 4K and 8K tokens as far as the model and the text reach.
#   bench/pareto.sh MODEL TEXT [DIR] [VALUES]
# Prints the tables; leaves report.html and pareto.svg in DIR (default: build/pareto/MODEL-TEXT).
# VALUES is the format of the values (default fp16). May be interrupted and called again.
set -euo pipefail
[ $# -ge 2 ] || { sed -n 's/^#   /usage: /p' "$0" >&2; exit 2; }
root=$(cd "$(dirname "$0")/.." && pwd)
model=$(realpath "$1")
text=$(realpath "$2")
stem() { basename "${1%.*}"; }
dir=${3:-$root/build/pareto/$(stem "$model")-$(stem "$text")}
values=${4:-fp16}
quant=$root/build/quant
[ -x "$quant" ] || { echo "$quant is not built yet; tools/quickstart.sh does that" >&2; exit 2; }

field() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }
longest=$("$quant" "$model" --info --json | field context_length)
tokens=$("$quant" tokenize "$model" "$text" --json | field count)
contexts=() reached=0
for context in 1024 4096 8192; do
  # A context that the one before it already filled with the whole text would repeat its rows.
  if [ "$context" -le "$longest" ] && [ "$tokens" -gt "$reached" ]; then
    contexts+=("$context")
    reached=$context
  fi
done
[ ${#contexts[@]} -gt 0 ] || contexts=("$longest")

quoted() { printf '"%s"' "$(sed 's/[\\"]/\\&/g' <<<"$1")"; }
mkdir -p "$dir"
cat >"$dir/grid.toml" <<GRID
models = [$(quoted "$model")]
texts = [$(quoted "$text")]
contexts = [$(IFS=,; echo "${contexts[*]}")]

[[grid]]
types = ["fp32/fp32"]

[[grid]]
types = ["turbo_kv_4b/$values"]
k_windows = [0, 128]

[[grid]]
types = ["uniform_2b/$values"]
k_windows = [0, 128, 256, 512]
GRID
"$quant" sweep "$dir/grid.toml" -o "$dir" >&2
"$quant" report "$dir"
"$quant" report "$dir" --html -o "$dir/report.html"
"$quant" report "$dir" --svg -o "$dir/pareto.svg"
echo "pictures: $dir/pareto.svg and $dir/report.html" >&2
