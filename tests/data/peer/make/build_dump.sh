#!/usr/bin/env bash
# Builds PEER/dump_logits against the engine that ../shared/tools/peer.sh has built in PEER.
#   build_dump.sh PEER
set -euo pipefail
peer=$(cd "${1:?usage: build_dump.sh PEER}" && pwd)
g++ -std=c++17 -O2 -Wall -Wextra "$(dirname "$0")/dump_logits.cpp" -o "$peer/dump_logits" \
  -I"$peer/src/llama.cpp/include" -I"$peer/src/llama.cpp/ggml/include" \
  -L"$peer/bin" -lllama -lggml -lggml-base -Wl,-rpath,"$peer/bin"
