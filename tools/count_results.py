#!/usr/bin/env python3
"""Sums up CTest's JUnit files; the last line is "N passed, N failed".

    count_results.py SUITE.xml...

Fails if a test failed, or if a suite is missing or ran nothing.
"""
import pathlib
import sys
import xml.etree.ElementTree as xml


def was_skipped(case):
    """By its own word or by DISABLED. CTest also calls a test skipped whose program is missing."""
    reason = case.find("skipped")
    return case.get("status") == "disabled" or (
        reason is not None and reason.get("message", "").startswith("SKIP_"))


def count(path):
    """(passed, failed, skipped) of one file."""
    passed = failed = skipped = 0
    try:
        root = xml.parse(path).getroot()
    except xml.ParseError:  # CTest was killed while it wrote
        return 0, 0, 0
    for case in root.iter("testcase"):
        if case.get("status") == "run":
            passed += 1
        elif was_skipped(case):
            skipped += 1
        else:
            failed += 1
    return passed, failed, skipped


def main():
    passed = failed = 0
    for path in map(pathlib.Path, sys.argv[1:]):
        suite = count(path) if path.exists() else (0, 0, 0)
        if suite[0] + suite[1] == 0:
            print(f"{path.stem}: no test ran")
            failed += 1
            continue
        print(f"{path.stem}: {suite[0]} passed, {suite[1]} failed, {suite[2]} skipped")
        passed += suite[0]
        failed += suite[1]
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
