#!/usr/bin/env python3
"""Draws perplexity records of `quant MODEL --ppl FILE --json` as a picture: cache size against cost.

    ppl_picture.py TITLE BASELINE.json ROW.json... > picture.svg

The first record is the baseline of the difference. Needs nothing but Python.
"""
import html
import json
import math
import sys

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 30, 50, 60
LABEL = 170  # about the width of a label
COLOURS = {"fp32": "#444444", "fp16": "#444444", "turbo_kv_4b": "#0b6e4f", "uniform_2b": "#b3541e"}


def label(record):
    name = record["key_type"]
    if record["value_type"] != "fp16":
        name += " / " + record["value_type"]
    return name + (f" k{record['key_window']}" if record["key_window"] else "")


def ticks(top):
    step = 10 ** math.floor(math.log10(top))
    step = next(s for s in (step / 5, step / 2, step, 2 * step) if top / s <= 7)
    return [i * step for i in range(int(top / step) + 1)]


def main():
    title, paths = sys.argv[1], sys.argv[2:]
    records = []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            records.append(json.load(file))
    base = records[0]
    points = [(r["kv_bytes"] / 2**20, 100 * (r["perplexity"] / base["perplexity"] - 1), label(r), r["key_type"])
              for r in records]
    x_top = 1.12 * max(p[0] for p in points)
    # Costs span two orders of magnitude: the axis is linear in sqrt, which keeps 0 and shows small ones.
    y_top = math.sqrt(1.15 * max(max(p[1] for p in points), 1.0))

    def x_at(value):
        return LEFT + value / x_top * (WIDTH - LEFT - RIGHT)

    def y_at(value):
        return HEIGHT - BOTTOM - math.sqrt(max(value, 0.0)) / y_top * (HEIGHT - TOP - BOTTOM)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
           'font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
           f'<text x="{LEFT}" y="26" font-size="15">{html.escape(title)}</text>']
    for value in ticks(x_top):
        out.append(f'<line x1="{x_at(value):.1f}" x2="{x_at(value):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" '
                   'stroke="#e4e4e4"/>')
        out.append(f'<text x="{x_at(value):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{value:g}</text>')
    for value in (0, 1, 5, 10, 25, 50, 100, 200, 400, 800, 1600):
        if math.sqrt(value) > y_top:
            break
        out.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y_at(value):.1f}" y2="{y_at(value):.1f}" '
                   'stroke="#e4e4e4"/>')
        out.append(f'<text x="{LEFT - 8}" y="{y_at(value) + 4:.1f}" text-anchor="end">+{value} %</text>')
    out.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 16}" text-anchor="middle">'
               'KV cache, MiB allocated</text>')
    out.append(f'<text x="{LEFT}" y="{TOP - 8}" fill="#666666">perplexity above FP32 (square-root scale)</text>')
    centres = [(x_at(p[0]), y_at(p[1])) for p in points]

    def blocked(left, middle, labels):
        """Whether a label that starts at left would lie on another label or on another point."""
        return (any(abs(middle - y) < 13 and abs(left - x) < LABEL for x, y in labels)
                or any(abs(middle - 4 - y) < 9 and 1 < x - left < LABEL for x, y in centres))

    taken = []
    for x, y, name, key_type in sorted(points):
        px, py = x_at(x), y_at(y)
        ly = next(py + shift for shift in (4, -9, 17, -22, -35, -48, -61)
                  if py + shift < HEIGHT - BOTTOM + 6 and not blocked(px, py + shift, taken))
        taken.append((px, ly))
        colour = COLOURS.get(key_type, "#2b5c9e")
        anchor, lx = ("end", px - 9) if px > WIDTH - 200 else ("start", px + 9)
        out.append(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="4.5" fill="{colour}"><title>{html.escape(name)}: '
                   f'{x:.2f} MiB, {y:+.2f} %</title></circle>')
        out.append(f'<text x="{lx:.1f}" y="{ly:.1f}" text-anchor="{anchor}" fill="{colour}">{html.escape(name)} '
                   f'{y:+.1f} %</text>')
    out.append("</svg>")
    print("\n".join(out))


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main()
