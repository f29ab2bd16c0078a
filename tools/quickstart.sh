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

runs=build/quickstart
mkdir -p "$runs"
cat >"$runs/grid.toml" <<GRID
models = ["$model"]
texts = ["$PWD/bench/data/ppl_1k.txt"]

[[grid]]
types = ["fp32/fp32", "fp16"]

[[grid]]
types = ["turbo_kv_4b"]
k_windows = [0, 128]

[[grid]]
types = ["uniform_2b"]
k_windows = [0, 128, 256, 512]

[[grid]]
types = ["turbo_kv_4b/turbo_kv_4b"]
GRID
build/quant sweep "$runs/grid.toml" -o "$runs" >&2
build/quant report "$runs"
echo
build/quant "$model" --chat -n 96 -p "In a few sentences, explain why the sky is blue."
