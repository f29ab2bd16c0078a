#!/usr/bin/env python3
"""Writes the character vectors of an R lazy-load database as text files, one a vector.

    extract_rdb.py PATH/Rdata OUTDIR     reads PATH/Rdata.rdx and PATH/Rdata.rdb

The .rdx index is a gzip-compressed R serialization of where each variable lies in the .rdb; each
variable there is a big-endian length followed by a zlib-compressed serialization. The format is
described in "R Internals", section 1.8, Serialization Formats (XDR, versions 2 and 3).
"""
import gzip
import pathlib
import struct
import sys
import zlib

SYMBOL, PAIRLIST, CHARSXP, LOGICAL, INTEGER, STRINGS, LIST = 1, 2, 9, 10, 13, 16, 19
NULL, REFERENCE = 254, 255
HAS_ATTRIBUTES, HAS_TAG = 1 << 9, 1 << 10


class Reader:
    """One serialized object: lists and named vectors become dict, list, or str."""

    def __init__(self, data):
        if data[:2] != b"X\n":
            raise ValueError("not an XDR serialization")
        self.data, self.pos, self.symbols = data, 2, []
        version = self.integer()
        self.pos += 8  # the versions of R that wrote it and that can read it
        if version == 3:
            self.take(self.integer())  # the native encoding's name

    def take(self, count):
        self.pos += count
        return self.data[self.pos - count : self.pos]

    def integer(self):
        return struct.unpack(">i", self.take(4))[0]

    def item(self):
        flags = self.integer()
        kind = flags & 0xFF
        if kind == NULL:
            return None
        if kind == REFERENCE:
            return self.symbols[(flags >> 8) - 1]
        if kind == SYMBOL:
            self.symbols.append(self.item())
            return self.symbols[-1]
        if kind == CHARSXP:
            length = self.integer()
            return None if length < 0 else self.take(length).decode("utf-8")
        if kind == PAIRLIST:
            if flags & HAS_ATTRIBUTES:
                self.item()
            tag = self.item() if flags & HAS_TAG else None
            value = self.item()
            return {tag: value, **(self.item() or {})}
        if kind in (LOGICAL, INTEGER):
            value = [self.integer() for _ in range(self.integer())]
        elif kind in (STRINGS, LIST):
            value = [self.item() for _ in range(self.integer())]
        else:
            raise ValueError(f"R type {kind} is not supported")
        names = (self.item() or {}).get("names") if flags & HAS_ATTRIBUTES else None
        return dict(zip(names, value)) if names else value


def main():
    base, out = sys.argv[1], pathlib.Path(sys.argv[2])
    index = Reader(gzip.decompress(pathlib.Path(base + ".rdx").read_bytes())).item()
    blob = pathlib.Path(base + ".rdb").read_bytes()
    for name, (offset, length) in index["variables"].items():
        lines = Reader(zlib.decompress(blob[offset + 4 : offset + length])).item()
        (out / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main()
