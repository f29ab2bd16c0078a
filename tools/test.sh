#!/usr/bin/env bash
# Builds everything and runs the whole suite under CTest: on this machine, and cross-built for
# 64-bit ARM under qemu-user. The last line is "N passed, N failed".
set -euo pipefail
cd "$(dirname "$0")/.."
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

fetch_models() {
  tools/fetch_model.sh >&2 || return
  if [ -x ../shared/tools/fetch_models.sh ]; then
    ../shared/tools/fetch_models.sh "${XDG_CACHE_HOME:-$HOME/.cache}/quant/models" >&2
  fi
}

prepare() {  # a chain, because "set -e" does not act inside a condition
  tools/install_deps.sh --tests && fetch_models && tools/fetch_sysroot.sh &&
    cmake --preset release && ninja -C build -j "$(nproc)" &&
    cmake --preset aarch64 && ninja -C build-aarch64 -j "$(nproc)"
}

run_suite() {  # name, build directory, further options of ctest
  # --no-tests=ignore: a suite that is empty is noticed below, in the sum.
  ctest --test-dir "$2" --output-on-failure --no-tests=ignore -j "$(nproc)" "${@:3}" \
    --output-junit "$results/$1.xml" || true
}

if ! prepare; then
  echo "nothing was tested: preparing the suite failed"
  echo "0 passed, 1 failed"
  exit 1
fi
run_suite host build
# Whole real models would take hours under emulation; their tests skip where the files are not.
# Neither is repeated there what takes minutes and says no more about NEON: one test of all reference
# models, and formats with a window or a sink alone beside those with neither and with both.
QUANT_MODELS=/nonexistent run_suite aarch64 build-aarch64 \
  -E 'ShortWindowsOnReferenceModels|Formats/Invariance.*_(w128_s0|w0_s4)$'
python3 tools/count_results.py "$results/host.xml" "$results/aarch64.xml"
