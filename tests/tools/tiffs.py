"""TIFF files by hand, from the TIFF 6.0 specification: Pillow writes neither few bits nor other bands."""

import struct


def tiff(pages, order="<"):
    """A TIFF without compression. pages: a list of dicts with width, height, bits, data and perhaps colour, bands,
    extra, kind, subfile, fill. Returns: bytes."""
    out = bytearray((b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 0))
    link = 4
    for page in pages:
        data = len(out)
        out += page["data"] + b"\0" * (len(page["data"]) % 2)
        bands = page.get("bands", 1)
        tags = {
            256: ("I", [page["width"]]),
            257: ("I", [page["height"]]),
            258: ("H", [page["bits"]] * bands),
            259: ("H", [page.get("compression", 1)]),
            262: ("H", [page.get("colour", 1)]),
            266: ("H", [page.get("fill", 1)]),
            273: ("I", [data]),
            277: ("H", [bands]),
            278: ("I", [page["height"]]),
            279: ("I", [len(page["data"])]),
            284: ("H", [1]),
            339: ("H", [page.get("kind", 1)] * bands),
        }
        if "subfile" in page:
            tags[254] = ("I", [page["subfile"]])
        if page.get("extra"):
            tags[338] = ("H", list(page["extra"]))
        struct.pack_into(order + "I", out, link, len(out))
        entries, tail = b"", b""
        start = len(out) + 2 + 12 * len(tags) + 4
        for tag, (form, values) in sorted(tags.items()):
            packed = struct.pack(f"{order}{len(values)}{form}", *values)
            if len(packed) > 4:
                packed, tail = struct.pack(order + "I", start + len(tail)), tail + packed + b"\0" * (len(packed) % 2)
            entries += struct.pack(order + "HHI", tag, {"H": 3, "I": 4}[form], len(values)) + packed.ljust(4, b"\0")
        out += struct.pack(order + "H", len(tags)) + entries
        link = len(out)
        out += struct.pack(order + "I", 0) + tail
    return bytes(out)


def packed(rows, bits):
    """Rows of small numbers as bytes, the first number in the highest bits, each row from a byte of its own on."""
    out = b""
    for row in rows:
        text = "".join(format(number, f"0{bits}b") for number in row)
        text = text.ljust(-(-len(text) // 8) * 8, "0")
        out += bytes(int(text[i : i + 8], 2) for i in range(0, len(text), 8))
    return out
