#!/usr/bin/env python3
"""Prints perplexity records of `quant MODEL --ppl FILE --json` as a table.

    ppl_table.py BASELINE.json ROW.json...

The first record is the baseline of the difference and of the ratio to FP32. The record with fp16
keys and values, if there is one, is that of the ratio to FP16.
"""
import json
import sys

COLUMNS = ["keys", "window", "values", "PPL", "Δ %", "bits K", "bits V", "cache bytes", "vs FP32", "vs FP16",
           "FP32 share"]


def is_fp16(record):
    return record["key_type"] == record["value_type"] == "fp16"


def cells(record, fp32, fp16):
    delta = 100 * (record["perplexity"] / fp32["perplexity"] - 1)
    return [
        record["key_type"],
        str(record["key_window"] or "-"),
        record["value_type"],
        f"{record['perplexity']:.4f}",
        "-" if record is fp32 else f"{delta:+.2f}",
        f"{record['key_bits']:.3f}",
        f"{record['value_bits']:.3f}",
        str(record["kv_bytes"]),
        f"{fp32['kv_bytes'] / record['kv_bytes']:.2f}x",
        f"{fp16['kv_bytes'] / record['kv_bytes']:.2f}x" if fp16 else "-",
        f"{100 * record['fp32_share_mean']:.1f} %",
    ]


def main():
    records = []
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as file:
            records.append(json.load(file))
    fp16 = next(filter(is_fp16, records), None)
    table = [COLUMNS] + [cells(record, records[0], fp16) for record in records]
    widths = [max(map(len, column)) for column in zip(*table)]
    names = (0, 2)
    for row in table:
        padded = [text.ljust(width) if i in names else text.rjust(width)
                  for i, (text, width) in enumerate(zip(row, widths))]
        print("  ".join(padded).rstrip())
    print("\nbits: per value of the packed rows; cache bytes: all that was allocated, exact windows included;"
          "\nFP32 share: keys a query sees in FP32, mean over the scored tokens")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main()
