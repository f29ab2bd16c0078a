#!/usr/bin/env bash
# Exchanges files of log-probabilities with llama-perplexity (b11434), in both directions and on a
# real model: what one program writes, both read and compare the same model with. Their figures must
# agree. Not part of the suite: needs the peer (PEER_DIR, built by ../shared/tools/peer.sh) and minutes.
#   logits_files.sh [MODEL.gguf]           default: the model of tools/fetch_model.sh
set -euo pipefail
cd "$(dirname "$0")/../.."

model=${1:-$(tools/fetch_model.sh)}
quant=${QUANT:-build/quant}
peer=${PEER_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/quant/peer}/bin
text=bench/data/ppl_4k.txt
[ -x "$peer/llama-perplexity" ] || ../shared/tools/peer.sh "${peer%/bin}" >&2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The peer computes with int8 activations on stored weights: both read the model as F32.
"$peer/llama-quantize" --allow-requantize "$model" "$work/f32.gguf" F32 >"$work/log" 2>&1
peer_run() { "$peer/llama-perplexity" -m "$work/f32.gguf" -c 512 -b 512 -t "$(nproc)" "$@" 2>&1; }
quant_run() { "$quant" "$model" -c 512 --json "$@" 2>>"$work/notes"; }

compare() {  # name, file
  peer_run --kl-divergence --kl-divergence-base "$2" -ctk f32 -ctv f32 >"$work/peer.log"
  quant_run --ppl --kl-base "$2" -k fp32 -v fp32 >"$work/quant.json"
  python3 - "$1" "$work/peer.log" "$work/quant.json" <<'PYTHON'
import json, re, sys
name, log, record = sys.argv[1], open(sys.argv[2], encoding="utf-8").read(), json.load(open(sys.argv[3]))
def peer(label):
    return float(re.search(re.escape(label) + r"\s*:\s*(-?[\d.]+)", log)[1])
rows = [("PPL", peer("Mean PPL(Q)"), record["perplexity"], 1e-4), ("PPL of base", peer("Mean PPL(base)"), record["base_perplexity"], 1e-6),
        ("mean KL", peer("Mean    KLD"), record["kl_mean"], 1e-3), ("99 % KL", peer("99.0%   KLD"), record["kl_p99"], 5e-3),
        ("same top 1", peer("Same top p") / 100, record["same_top1"], 2e-3), ("RMS of delta p", peer("RMS Δp") / 100, record["delta_p_rms"], 2e-3)]
for label, theirs, ours, allowed in rows:
    print(f"{name}: {label:<15} peer {theirs:.6f}  quant {ours:.6f}")
    if abs(theirs - ours) > allowed * max(abs(theirs), 1e-2):
        sys.exit(f"{name}: {label} does not agree")
PYTHON
}

# Bases whose caches lost something, so that there is a divergence to agree on.
peer_run -f "$text" --save-all-logits "$work/peer.bin" -ctk q4_0 -ctv q4_0 >"$work/log"
compare "written by the peer" "$work/peer.bin"
quant_run --ppl "$text" --save-logits "$work/quant.bin" -k uniform_3b --k-window 64 -o "$work/base.json"
compare "written by quant" "$work/quant.bin"
echo "both programs read what either writes, and agree"
