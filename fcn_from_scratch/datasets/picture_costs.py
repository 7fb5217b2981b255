"""What decoding a picture costs, before it is decoded: a file of a few KB may claim a huge picture.

Each format's decoder needs another number of bytes for a pixel, and the decoder of JPEG passes over all pixels once for
every scan in the file. So a picture has a limit that depends on its format: MOST_BYTES of memory, MOST_SCANS passes.
"""

import re

MOST_PIXELS = 50_000_000
MOST_BYTES = 340_000_000  # of memory for decoding
MOST_COMMENTS = 1000  # of a PPM that is written out in digits
PLAIN = (b"P1", b"P2", b"P3")
MOST_SCANS = 200  # of a JPEG; a progressive one has about ten

# Bytes for a pixel while a picture is decoded and becomes RGB, measured with Pillow 13 and rounded up: the decoder's
# own maps, Pillow's picture of up to 4 bytes, and the result of 3. No other format needs more than USUAL.
USUAL = 8.4
BYTES = {"WEBP": 16, "JPEG2000": 28, "AVIF": 16}
PROGRESSIVE = 12.5  # a JPEG of several scans: all coefficients, of 2 bytes, are kept until the last scan
WIDE = 13  # modes with 4 bytes for a grey value

_MARKER = re.compile(rb"\xff+([^\x00\xff])")
_ALONE = {0x01, 0xD8, *range(0xD0, 0xD8)}  # markers without a length behind them
_SOS, _EOI, _FRAMES = 0xDA, 0xD9, {0xC0, 0xC1, 0xC2, 0xC3, 0xC9, 0xCA, 0xCB}
_ROWS_PER_STRIP, _TILE_WIDTH, _TILE_LENGTH, _BITS, _SAMPLES = 278, 322, 323, 258, 277


def problem(picture, data):
    """Why a picture is not decoded, in words; None if it is.

    picture   as Image.open gives it: its size is known, its pixels are not
    data      a function that returns all bytes of its file
    """
    pixels, most = picture.width * picture.height, MOST_PIXELS
    if picture.format == "PPM" and (found := data())[:2] in PLAIN and found.count(b"#") > MOST_COMMENTS:
        return f"has more than {MOST_COMMENTS} comments among its numbers; Pillow would take minutes for them"
    if pixels <= most and picture.format in ("JPEG", "MPO"):
        scans, keeps_all = jpeg_scans(data())
        if scans > MOST_SCANS:
            return f"has more than {MOST_SCANS} scans, which no camera and no program writes"
        most = _most(PROGRESSIVE if keeps_all else USUAL)
    elif picture.format == "TIFF":
        most = _most(max(USUAL, WIDE if picture.mode in ("I", "F") else 0) + _strip_bytes(picture))
    else:
        most = _most(max(BYTES.get(picture.format, USUAL), WIDE if picture.mode in ("I", "F") else 0))
    if pixels > most:
        return f"is larger than {most / 1e6:.0f} megapixels, the most that are read of its kind; make it smaller first"
    return None


def _most(bytes_a_pixel):
    return min(MOST_PIXELS, int(MOST_BYTES / bytes_a_pixel))


def jpeg_scans(data):
    """(the number of scans in a JPEG, at most MOST_SCANS + 1; whether its decoder keeps all coefficients).

    The segments are followed as the decoder follows them. Behind each scan it looks for the next marker.
    """
    place, scans, several, components = 0, 0, False, 0
    while scans <= MOST_SCANS and (found := _MARKER.search(data, place)):
        marker, place = found[1][0], found.end()
        if marker == _EOI:
            break
        if marker in _ALONE:
            continue
        body = data[place + 2 : place + 8]
        if marker in _FRAMES and len(body) == 6:
            components, several = body[5], several or marker in (0xC2, 0xCA)
        if marker == _SOS:
            scans += 1
            several = several or scans > 1 or body[:1] != bytes([components])
        place += int.from_bytes(data[place : place + 2], "big")
    return scans, several


def _strip_bytes(picture):
    """Bytes for a pixel of the strip or tile of a TIFF that is decoded at once, as a share of the whole picture."""
    tags = getattr(picture, "tag_v2", {})
    try:
        if _TILE_WIDTH in tags:
            pixels = int(tags[_TILE_WIDTH]) * int(tags[_TILE_LENGTH])
        else:
            pixels = int(tags.get(_ROWS_PER_STRIP, picture.height)) * picture.width
        bits = tags.get(_BITS, (8,))
        bits = sum(bits) if isinstance(bits, tuple) else int(bits)
        bits = max(bits, int(tags.get(_SAMPLES, 1)) * 8)
    except (TypeError, ValueError, KeyError):
        return 0
    return bits / 8 * min(1, pixels / max(picture.width * picture.height, 1))
