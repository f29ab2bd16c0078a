#!/usr/bin/env bash
# Makes ../logits_file.{txt,bin,json} with the engine that ../shared/tools/peer.sh has built in PEER:
# its log-probabilities for llama_linear.gguf, and what it says of llama_yarn.gguf against them. Both
# models are dequantized to F32 first; FP32 cache, no flash attention.
#   make_logits_file.sh PEER
set -euo pipefail
peer=$(cd "${1:?usage: make_logits_file.sh PEER}" && pwd)/bin
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
head -c 700 ../../../bench/data/ppl_1k.txt >logits_file.txt
for model in llama_linear llama_yarn; do
  "$peer/llama-quantize" --allow-requantize "$model.gguf" "$work/$model.gguf" F32 >"$work/log" 2>&1
done
run() { "$peer/llama-perplexity" -c 32 -b 32 -t 1 -fa off -ctk f32 -ctv f32 "$@" 2>&1; }
run -m "$work/llama_linear.gguf" -f logits_file.txt --chunks 7 --save-all-logits logits_file.bin >"$work/log"
run -m "$work/llama_yarn.gguf" --kl-divergence --kl-divergence-base logits_file.bin >"$work/log"
python3 - "$work/log" >logits_file.json <<'PYTHON'
import json, re, sys
log = open(sys.argv[1], encoding="utf-8").read()
names = {"Mean PPL(Q)": "perplexity", "Mean PPL(base)": "base_perplexity", "Mean ln(PPL(Q)/PPL(base))": "delta_nll",
         "Mean    KLD": "kl_mean", "Maximum KLD": "kl_max", "99.9%   KLD": "kl_p999", "99.0%   KLD": "kl_p99",
         "95.0%   KLD": "kl_p95", "90.0%   KLD": "kl_p90", "Median  KLD": "kl_p50"}
found = {ours: float(re.search(re.escape(theirs) + r"\s*:\s*(-?[\d.]+)", log)[1]) for theirs, ours in names.items()}
found["kl_standard_error"] = float(re.search(r"Mean    KLD:\s*[\d.]+ ±\s*([\d.]+)", log)[1])
found["same_top1"] = float(re.search(r"Same top p:\s*([\d.]+)", log)[1]) / 100
found["delta_p_rms"] = float(re.search(r"RMS Δp\s*:\s*([\d.]+)", log)[1]) / 100
json.dump(found, sys.stdout, indent=2)
print()
PYTHON
