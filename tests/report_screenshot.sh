#!/usr/bin/env bash
# Opens a report in a headless browser and keeps what it shows. Not part of the suite: somebody must
# look at the picture. Needs Debian's chromium, a font (fonts-dejavu-core) and build/quant.
#   tests/report_screenshot.sh DIR PICTURE.png
set -euo pipefail
[ $# -eq 2 ] || { sed -n 's/^#   /usage: /p' "$0" >&2; exit 2; }
root=$(cd "$(dirname "$0")/.." && pwd)
command -v chromium >/dev/null || { echo "needs chromium: apt-get install chromium fonts-dejavu-core" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$root/build/quant" report "$1" --html -o "$work/report.html"
picture=$(realpath -m "$2")

browse() {
  chromium --headless=new --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$work/profile" \
    --window-size=1600,"$height" "$@" "file://$work/report.html" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
}
# One group of the report is about 800 pixels high.
height=$((300 + 800 * $(grep -c '<h2>' "$work/report.html")))
browse --screenshot="$picture" >/dev/null
# What the browser made of the page: all points, and no error where it did not understand.
browse --dump-dom >"$work/dom"
points=$(grep -o '<circle' "$work/report.html" | wc -l)
shown=$(grep -o '<circle' "$work/dom" | wc -l)
[ "$points" -gt 0 ] && [ "$points" -eq "$shown" ] || { echo "$points points in the page, $shown in the browser" >&2; exit 1; }
if grep -q parsererror "$work/dom"; then echo "the browser did not understand the page" >&2; exit 1; fi
echo "$points points; look at $picture"
