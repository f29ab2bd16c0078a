#!/usr/bin/env bash
# From a fresh Debian 12 to results: installs what is missing, builds build/quant, brings a model,
# prints what each KV format costs in perplexity and in memory, and generates a few sentences.
# Repeating it is cheap. Results go to stdout, progress to stderr.
set -euo pipefail
cd "$(dirname "$0")/.."

tools/install_deps.sh
cmake --preset release >/dev/null
ninja -C build quant >&2
model=$(tools/fetch_model.sh)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rows=()
measure() {  # key type, value type, further options
  local row
  row=$work/${#rows[@]}.json
  echo "measuring: keys $1, values $2 ${*:3}" >&2
  build/quant "$model" --ppl bench/data/ppl_1k.txt -k "$1" -v "$2" "${@:3}" --json -o "$row" >&2
  rows+=("$row")
}
measure fp32 fp32
measure fp16 fp16
measure turbo_kv_4b fp16
measure turbo_kv_4b fp16 --k-window 128
measure uniform_2b fp16
measure uniform_2b fp16 --k-window 128
measure uniform_2b fp16 --k-window 256
measure uniform_2b fp16 --k-window 512
measure turbo_kv_4b turbo_kv_4b

echo "Perplexity of bench/data/ppl_1k.txt, SmolLM2-135M-Instruct:"
echo
python3 tools/ppl_table.py "${rows[@]}"
echo
build/quant "$model" --chat -n 96 -p "In a few sentences, explain why the sky is blue."
