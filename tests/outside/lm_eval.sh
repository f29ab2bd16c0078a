#!/usr/bin/env bash
# Tries tools/lm_eval_quant.py with lm-eval 0.4.13 from PyPI on local tasks, and compares what it
# reports with what quant reports of itself. Not part of the suite: installs half a gigabyte of
# Python packages into a virtual environment (VENV, default in the user's cache) and takes minutes.
#   lm_eval.sh [MODEL.gguf]                default: the model of tools/fetch_model.sh
set -euo pipefail
cd "$(dirname "$0")/../.."

model=${1:-$(tools/fetch_model.sh)}
quant=${QUANT:-build/quant}
venv=${VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/quant/lm_eval}
[ -x "$venv/bin/lm_eval" ] || { python3 -m venv "$venv" && "$venv/bin/pip" install -q lm-eval==0.4.13; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 tests/outside/lm_eval_tasks.py write "$work"
export HF_HOME=$work/hf HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1
options="-k turbo_kv_4b --k-window 32 -c 512"
"$venv/bin/python" tools/lm_eval_quant.py --model quant \
  --model_args "model=$model,command=$quant,options=$options" \
  --tasks local_choices,local_last_word,local_text,local_answers --include_path "$work" \
  --output_path "$work/out" --log_samples
# shellcheck disable=SC2086  # options are words
{
  "$quant" score "$model" "$work/choices.jsonl" --choices --json $options -o "$work/choices.json"
  "$quant" score "$model" "$work/last_word.jsonl" $options -o "$work/last_word.scores"
  "$quant" score "$model" "$work/text.jsonl" $options -o "$work/text.scores"
}
python3 tests/outside/lm_eval_tasks.py compare "$work"
"$venv/bin/python" -c '
import sys
sys.path.insert(0, "tools")
import lm_eval_quant
loaded = {"torch", "transformers"} & set(sys.modules)
assert not loaded, f"{loaded} should not be needed"'
echo "lm-eval and quant agree"
