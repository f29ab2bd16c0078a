#!/usr/bin/env python3
"""Prints what compare_peer.sh collected: medians of each engine and of the ratios of the rounds.

    peer_table.py DIR     DIR holds MODEL@DEPTH@ROUND.ours and .theirs
"""
import json
import pathlib
import statistics
import sys


def ours(path):
    row = json.loads(path.read_text())["rows"][0]
    return {"prefill": row["prefill_tokens_per_second"], "decode": row["decode_tokens_per_second"]}


def theirs(path):
    rows = json.loads(path.read_text())
    return {"prefill": next(r["avg_ts"] for r in rows if r["n_prompt"]),
            "decode": next(r["avg_ts"] for r in rows if r["n_gen"])}


def main():
    rounds = {}
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.ours")):
        model, depth, _ = path.stem.rsplit("@", 2)
        rounds.setdefault((model, int(depth)), []).append((ours(path), theirs(path.with_suffix(".theirs"))))
        record = json.loads(path.read_text())
    print(f"{record['cpu']} ({record['isa']}), {record['threads']} threads, {record['math']} math, "
          f"quant {record['version']} against llama.cpp b11434\n")
    print("| model | depth | step | quant t/s | llama.cpp t/s | ratio (lowest to highest of the rounds) |")
    print("|---|---|---|---|---|---|")
    for (model, depth), pairs in rounds.items():
        for step in ("prefill", "decode"):
            ratios = [a[step] / b[step] for a, b in pairs]
            print(f"| {model} | {depth} | {step} | {statistics.median(a[step] for a, _ in pairs):.1f} "
                  f"| {statistics.median(b[step] for _, b in pairs):.1f} "
                  f"| {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) |")


if __name__ == "__main__":
    main()
