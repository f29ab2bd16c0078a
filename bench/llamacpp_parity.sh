#!/usr/bin/env bash
# Shows that `quant --protocol llamacpp` measures what llama-perplexity (b11434) measures.
#   llamacpp_parity.sh [MODEL.gguf...]     default: the three models of ../shared/tools/fetch_models.sh
# exact: quant with FP32 activations and an FP32 cache against the peer on the same model
#        dequantized to F32, 8 chunks of 512 tokens; to agree within 1e-4 of the perplexity. Without
#        flash attention, which moves the peer's own result by 1.7e-4 on Qwen2.5.
# fast:  quant with int8 activations and an FP16 cache against the peer on the stored file,
#        100 chunks of 512 tokens; to agree within 0.3 %.
# PEER_DIR: where ../shared/tools/peer.sh built the peer, or is to build it. TEXT: another text.
# QUANT: another binary. A dequantized model needs up to 2.5 GB of TMPDIR; all of it takes half an
# hour on two cores.
# Prints a Markdown table; fails if a row does not agree.
set -euo pipefail
cd "$(dirname "$0")/.."
case ${1:-} in -*) sed -n '2,13s/^# \{0,1\}//p' "$0" >&2; exit 2 ;; esac
for file in "$@" ${TEXT:+"$TEXT"}; do
  [ -r "$file" ] || { echo "$file: cannot be read" >&2; exit 4; }
done

cache=${XDG_CACHE_HOME:-$HOME/.cache}/quant
peer=${PEER_DIR:-$cache/peer}/bin
quant=${QUANT:-build/quant}
text=${TEXT:-../shared/text/wikitext2_test.txt}
models=("$@")
if [ $# -eq 0 ]; then
  ../shared/tools/fetch_models.sh "$cache/models" >&2
  models=("$cache"/models/{smollm2-135m,gemma-3-270m-q4_k_m,qwen2.5-0.5b}.gguf)
fi
[ -x "$peer/llama-perplexity" ] || ../shared/tools/peer.sh "${peer%/bin}" >&2
[ -x "$quant" ] || { cmake --preset release >&2 && ninja -C build quant >&2; }
threads=$(nproc)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

peer_perplexity() {  # model, chunks, further options
  "$peer/llama-perplexity" -m "$1" -f "$text" -c 512 --chunks "$2" -t "$threads" "${@:3}" 2>&1 |
    sed -n 's/.*Final estimate: PPL = \([0-9.]*\).*/\1/p'
}

quant_perplexity() {  # model, chunks, further options
  "$quant" "$1" --ppl "$text" --protocol llamacpp -c 512 --chunks "$2" "${@:3}" --json 2>"$work/notes" |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["perplexity"])'
}

failed=0
row() {  # model, kind, chunks, peer's PPL, quant's PPL, allowed relative difference
  python3 - "$@" <<'PYTHON' || failed=1
import sys
model, kind, chunks, peer, quant, allowed = sys.argv[1:]
difference = float(quant) / float(peer) - 1
agrees = abs(difference) <= float(allowed)
print(f"| {model} | {kind} | {chunks} | {float(peer):.4f} | {float(quant):.4f} | {difference:+.1e} |"
      f" {float(allowed):.0e} | {'yes' if agrees else 'NO'} |", flush=True)
sys.exit(not agrees)
PYTHON
}

echo "| model | math | chunks | llama-perplexity | quant | difference | allowed | agrees |"
echo "|---|---|---|---|---|---|---|---|"
for model in "${models[@]}"; do
  name=$(basename "$model" .gguf)
  "$peer/llama-quantize" --allow-requantize "$model" "$work/f32.gguf" F32 >"$work/quantize.log" 2>&1
  row "$name" exact 8 "$(peer_perplexity "$work/f32.gguf" 8 -fa off -ctk f32 -ctv f32)" \
    "$(quant_perplexity "$model" 8 --math exact -k fp32 -v fp32)" 1e-4
  rm "$work/f32.gguf"
  row "$name" fast 100 "$(peer_perplexity "$model" 100)" \
    "$(quant_perplexity "$model" 100 --math fast -k fp16 -v fp16)" 3e-3
done
exit "$failed"
