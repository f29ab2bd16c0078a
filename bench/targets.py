#!/usr/bin/env python3
"""What compare_peer.sh does not measure, for each model a Markdown table: exact prefill and --ppl beside
llama.cpp, start to first token, two threads beside one, peak memory. Engines and thread counts take
turns; figures are medians. Keep the machine otherwise idle.

    targets.py MODEL.gguf...

Environment: PEER_DIR (where ../shared/tools/peer.sh built llama.cpp), QUANT (build/quant), ROUNDS (5),
THREADS (2), TEXT (../shared/text/wikitext2_test.txt).
"""
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "quant"
PEER = pathlib.Path(os.environ.get("PEER_DIR", CACHE / "peer")) / "bin"
QUANT = os.environ.get("QUANT", str(ROOT / "build" / "quant"))
TEXT = os.environ.get("TEXT", str(ROOT.parent / "shared" / "text" / "wikitext2_test.txt"))
ROUNDS = int(os.environ.get("ROUNDS", "5"))
THREADS = os.environ.get("THREADS", "2")
PACKED = ["-k", "turbo_kv_4b", "-v", "turbo_kv_4b"]
MIB = 1 << 20


def output_of(command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def seconds_of(command):
    begin = time.monotonic()
    output_of(command)
    return time.monotonic() - begin


def bench(model, *options):
    return json.loads(output_of([QUANT, "bench", model, "-r", 1, "--json", *options]))


def prefill(model, *options):
    return bench(model, "-p", 512, "-n", 0, "-d", 0, *options)["rows"][0]["prefill_tokens_per_second"]


def peer_prefill(model):
    rows = json.loads(output_of([PEER / "llama-bench", "-m", model, "-t", THREADS, "-p", 512, "-n", 0,
                                 "-r", 1, "-o", "json"]))
    return rows[0]["avg_ts"]


def perplexity(model, math):
    return seconds_of([QUANT, model, "--ppl", TEXT, "--protocol", "llamacpp", "-c", 4096, "--chunks", 2,
                       "--math", math, "-j", THREADS])


def peer_perplexity(model):
    return seconds_of([PEER / "llama-perplexity", "-m", model, "-f", TEXT, "-c", 4096, "--chunks", 2,
                       "-t", THREADS])


def first_token(model):
    """Milliseconds from the start of the process to the first byte of a text."""
    begin = time.monotonic()
    with subprocess.Popen([QUANT, model, "-p", "Once upon a time there was a", "-n", "8", "-j", THREADS],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as run:
        run.stdout.read(1)
        milliseconds = 1e3 * (time.monotonic() - begin)
        run.stdout.read()
    return milliseconds


def in_turn(*measures):
    """Medians of each measure, ROUNDS of each, one after the other."""
    found = [[measure() for measure in measures] for _ in range(ROUNDS)]
    return [statistics.median(column) for column in zip(*found)]


def row(what, measured, beside, ratio):
    print(f"| {what} | {measured} | {beside} | {ratio:.2f} |", flush=True)


def measure(model):
    record = bench(model, "-p", 512, "-n", 8, "-d", 7680, "-j", THREADS, *PACKED)
    print(f"\n{model} on {record['cpu']} ({record['isa']}), {THREADS} threads\n")
    print("| | quant | beside | ratio |")
    print("|---|---|---|---|")
    exact, peer = in_turn(lambda: prefill(model, "--math", "exact", "-j", THREADS), lambda: peer_prefill(model))
    row("exact prefill of 512, t/s; llama.cpp's", f"{exact:.0f}", f"{peer:.0f}", exact / peer)
    fast, exact, peer = in_turn(lambda: perplexity(model, "fast"), lambda: perplexity(model, "exact"),
                                lambda: peer_perplexity(model))
    row("--ppl of 2 x 4,096, fast, s; llama-perplexity", f"{fast:.1f}", f"{peer:.1f}", peer / fast)
    row("--ppl of 2 x 4,096, exact, s; llama-perplexity", f"{exact:.1f}", f"{peer:.1f}", peer / exact)
    two, one = in_turn(lambda: prefill(model, "-j", THREADS), lambda: prefill(model, "-j", 1))
    row(f"prefill of 512, t/s, {THREADS} threads; one", f"{two:.0f}", f"{one:.0f}", two / one)
    first = in_turn(lambda: first_token(model))[0]
    row("start to first token, ms; 200", f"{first:.0f}", "200", first / 200)
    peak = record["peak_rss_bytes"] / MIB
    most = (os.path.getsize(model) + record["rows"][0]["kv_bytes"]) / MIB + 150
    row("peak at 7,680, turbo_kv_4b, MiB; file + cache + 150", f"{peak:.0f}", f"{most:.0f}", peak / most)


def main():
    models = sys.argv[1:]
    if not models or models[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    for path in [*models, QUANT, TEXT, PEER / "llama-bench", PEER / "llama-perplexity"]:
        if not os.access(path, os.R_OK):
            print(f"{path}: cannot be read", file=sys.stderr)
            sys.exit(4)
    for model in models:
        measure(model)


if __name__ == "__main__":
    main()
