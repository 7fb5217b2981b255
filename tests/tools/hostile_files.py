"""Files that lie, for every reader of foreign files: how many are read, refused, slow, large, or end in a traceback.

    python tests/tools/hostile_files.py --cases 10000 --seed 1
    python tests/tools/hostile_files.py --reader mat --cases 500

Each case is a file that its format's grammar allows, with hostile numbers, names and repetitions in it. Some are
damaged byte by byte as well. Case n of a reader is the same for the same seed. Child processes read the files, many
each, under a limit of memory. The exit status is 1 if a case ends in a traceback, takes over 5 s of CPU time, or over
500 MB.
"""

import argparse
import io
import json
import random
import struct
import subprocess
import sys
import tempfile
import threading
import time
import warnings
import zipfile
import zlib
from collections import Counter
from pathlib import Path

import matfile
import numpy as np
import weight_files as files
from PIL import Image

LARGEST = 4 << 20  # bytes of a repetition
SECONDS, MEGABYTES = 5, 500  # what a case may take
ADDRESS_SPACE = 4 << 30  # a child that asks for more gets a MemoryError, which counts as a traceback
PATIENCE = 120  # seconds of a busy machine's clock after which a child is given up
OUTCOMES = ("read", "refused", "traceback", "slow", "large")

NUMBERS = (0, 1, 2, 3, 4, 7, 8, 127, 128, 255, 256, 65535, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**62, 2**63 - 1)
TEXTS = (
    "",
    "w",
    "conv1_1.weight",
    "score_fr.bias",
    "\x1b[2J",
    "../../x",
    "a" * 70,
    "b" * 5000,
    "\u202e",
    "__metadata__",
)


def number(dice):
    return dice.choice(NUMBERS) if dice.randrange(3) else dice.randrange(1000)


def times(dice):
    """How often something is repeated: mostly once, now and then very often."""
    return dice.choice((1,) * 30 + (0, 2, 3, 33, 1000, 20_000))


def repeated(data, dice):
    """Bytes, or text, several times: at most LARGEST of them."""
    return data * min(times(dice), LARGEST // max(len(data), 1) + 1)


def packed(members, dice):
    """A zip archive of {name: bytes}."""
    file, method = io.BytesIO(), dice.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", method) as archive:
        warnings.simplefilter("ignore")  # about names that occur twice
        for name, data in members:
            archive.writestr(name, data)
    return file.getvalue()


# --- one writer for each reader ---------------------------------------------------------------------------------


def npz(dice):
    good = io.BytesIO()
    np.save(good, np.ones(dice.randrange(9), np.float32))
    members = [("good.npy", good.getvalue())]
    for _ in range(dice.choice((0, 0, 1, 1, 2))):
        shape = "(" + "".join(f"{number(dice)}," for _ in range(dice.randrange(4))) * times(dice) + ")"
        descr = dice.choice(("'<f4'", "'<f8'", "'|O'", "'>i4'", "[('a','<f4')]", "'<f4,(9,9)f4'", "'V9'", "9", "None"))
        order = dice.choice(("True", "False", "0"))
        text = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}}}"
        if not dice.randrange(5):
            text = dice.choice(("(", "[", "-", "{'a':", "9", " ")) * times(dice) + text
        head = text.encode() + b"\n"
        form, version = dice.choice((("<H", 1), ("<I", 2), ("<I", 3)))
        length = len(head) if dice.randrange(4) else number(dice)
        length %= 2 ** (8 * struct.calcsize(form))
        data = bytes(dice.choice((0, 4, 8, 16, 1 << 20)))
        members.append(
            (dice.choice(TEXTS) + ".npy", b"\x93NUMPY" + bytes([version, 0]) + struct.pack(form, length) + head + data)
        )
    if not dice.randrange(3):
        text = dice.choice((b"[", b"[],", b"{},", b'{"a":', b"9")) * times(dice) + b"1"
        good = io.BytesIO()
        np.save(good, np.frombuffer(text, np.uint8))
        members.append(("meta.npy", good.getvalue()))
    return packed(members, dice)


def program(dice):
    """A pickle of instructions that are mostly allowed. One in four is right in everything."""
    storage = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"

    def integer():
        value = number(dice)
        return b"K" + bytes([value]) if value < 256 else b"\x8a\x09" + value.to_bytes(9, "little")

    def sizes():
        return b"(" + b"".join(integer() for _ in range(dice.randrange(4))) * times(dice) + b"t"

    def tensor():
        build = b"ctorch._utils\n_rebuild_tensor_v2\n("
        if not dice.randrange(3):
            return build + storage + b"K\x04tQK\x00K\x04\x85K\x01\x85\x89)tR"
        return build + storage + integer() + b"tQ" + integer() + sizes() + sizes() + b"\x89)tR"

    pieces = (
        tensor,
        sizes,
        integer,
        lambda: b")" + b"2\x86" * dice.choice((1, 30, 60, 500)),
        lambda: b"]" * times(dice) + b"a",
        lambda: b"X" + struct.pack("<I", number(dice) % 2**32) + b"text",
        lambda: b"c_codecs\nencode\nX\x01\x00\x00\x00aX\x06\x00\x00\x00latin1\x86R",
        lambda: b"ccollections\nOrderedDict\n)R",
        lambda: b"cnumpy\ndtype\nX\x02\x00\x00\x00f8\x89\x88\x87R",
        lambda: dice.choice(
            (b"cos\nsystem\n", b"(", b"t", b"q\x00", b"h\x00", b"2", b"0", b"u", b"s", b"Q", b"b", b"R")
        ),
    )
    value = tensor() if dice.randrange(2) else b"".join(dice.choice(pieces)() for _ in range(dice.randrange(1, 6)))
    return b"\x80\x02}X\x01\x00\x00\x00w" + repeated(value, dice) + b"s."


def pth(dice):
    return files.torch_zip({"w": files.tensor(np.ones(4, np.float32))}, data_pkl=program(dice))


def legacy_pth(dice):
    good = {"w": files.tensor(np.ones(4, np.float32))}
    if dice.randrange(4):
        return files.torch_stream(good, program=program(dice))
    nested = b"\x80\x02)" + b"2\x86" * dice.choice((3, 60, 400)) + b"."
    parts = [files.pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, {}, ["0"])]
    parts[dice.randrange(5)] = nested
    return b"".join(parts)


def mat(dice):
    shape = [min(number(dice), 2**31 - 1) for _ in range(dice.randrange(4))] * times(dice)
    stored = matfile.element(dice.choice((1, 2, 5, 9, 14, 99)), bytes(dice.choice((0, 1, 4, 8, 1 << 20))))
    kind = dice.choice((1, 2, 5, 6, 9, 15, 200))
    matrix = matfile.element(matfile.MATRIX, matfile.head(kind, shape, dice.choice("xS")) + stored)
    if not dice.randrange(3):
        names = dice.choice((b"", b"a", b"Seg".ljust(32, b"\0"))) * dice.choice((1, 2, 1 << 20))
        width = matfile.element(5, struct.pack("<i", number(dice) % 2**31), short=True)
        parts = matfile.head(2, (1, 1), "x") + width + matfile.element(1, names) + matrix
        matrix = matfile.element(matfile.MATRIX, parts)
    matrix = repeated(matrix, dice)
    return matfile.header() + (matfile.packed(matrix) if dice.randrange(2) else matrix)


def caffemodel(dice):
    def message(depth):
        out = b""
        for _ in range(dice.randrange(1, 5)):
            tag = dice.choice((1, 2, 4, 5, 6, 7, 8, 50, 100))
            part = dice.choice(
                (files.varint(tag << 3 | 5) + bytes(4), files.varint(tag << 3 | 1) + bytes(8), None, None)
            )
            if part is None:
                inner = (
                    message(depth - 1)
                    if depth and dice.randrange(3)
                    else dice.choice((number(dice), b"conv", bytes(8)))
                )
                part = files.field(tag, inner)
            out += part * times(dice) if len(part) < 200 else part
        return out

    blob = message(0) + files.field(7, files.field(1, number(dice)) * times(dice))
    alternating = (b"\x2d" + bytes(4) + b"\x35" + bytes(4)) * times(dice)
    layer = files.field(100, files.field(1, b"conv") + files.field(7, dice.choice((blob, alternating, message(1)))))
    return layer if dice.randrange(2) else files.field(1, b"net") + message(3)


def safetensors(dice):
    def shape():
        big = "9" * dice.choice((1, 20, 4000))
        return "[" + ",".join([str(number(dice)) if dice.randrange(3) else big] * times(dice)) + "]"

    entries = []
    for _ in range(dice.randrange(1, 3)):
        name = json.dumps(dice.choice(TEXTS))
        kind = dice.choice(('"F32"', '"BF16"', '"BOOL"', '"F99"', "3", "[[]]", "{}"))
        entries.append(f'{name}:{{"dtype":{kind},"shape":{shape()},"data_offsets":[{number(dice)},{number(dice)}]}}')
    if not dice.randrange(4):
        entries.append('"__metadata__":' + dice.choice(("{}", '{"a":', "[", "1", '{"a":[')) * min(times(dice), 1000))
    text = ("{" + ",".join(entries) + "}").encode()
    length = len(text) if dice.randrange(5) else number(dice)
    return struct.pack("<Q", length) + text + bytes(dice.choice((0, 4, 16)))


def png(dice):
    def chunk(kind, data):
        length = len(data) if dice.randrange(20) else number(dice) % 2**32
        return struct.pack(">I", length) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    width, height = (number(dice) % 2**32 if not dice.randrange(3) else 16 for _ in range(2))
    head = struct.pack(
        ">IIBBBBB",
        width,
        height,
        dice.choice((1, 2, 4, 8, 16, 3)),
        dice.choice((0, 2, 3, 4, 6, 5)),
        0,
        0,
        dice.choice((0, 1)),
    )
    exif = (
        b"II*\0\x08\0\0\0"
        + struct.pack("<H", 2)
        + struct.pack("<HHII", 0x112, 3, 1, 6)
        + struct.pack("<HHII", 40000, 7, number(dice) % 2**32, 8)
    )
    extra = [
        chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1000 * times(dice)))),
        chunk(b"tEXt", b"key\0" + b"t" * times(dice)),
        chunk(b"PLTE", bytes(3) * dice.choice((1, 256, 300))),
        chunk(b"tRNS", bytes(dice.choice((1, 256, 999)))),
        chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(1000 * times(dice)))),
        chunk(b"eXIf", exif),
    ]
    body = repeated(b"".join(dice.sample(extra, dice.randrange(4))), dice)
    data = zlib.compress(bytes(dice.choice((17 * 16, 100, 1 << 20, 1 << 24))), 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + body + chunk(b"IDAT", data) + chunk(b"IEND", b"")


WRITERS = {  # format: (its modes, how to write a large picture as a small file)
    "JPEG": (("L", "RGB", "CMYK"), {"progressive": True, "subsampling": 0}),
    "TIFF": (("L", "RGB", "RGBA", "CMYK", "I;16", "P"), {"compression": "tiff_lzw"}),
    "BMP": (("L", "RGB", "P"), {}),
    "GIF": (("L", "RGB", "P"), {}),
    "PPM": (("L", "RGB"), {}),
    "PNG": (("L", "RGB", "RGBA", "LA", "I;16", "P"), {"compress_level": 1}),
    "WEBP": (("RGB", "RGBA"), {"lossless": True, "quality": 0, "method": 0}),
    "JPEG2000": (("L", "RGB", "RGBA", "LA"), {}),
    "AVIF": (("RGB", "RGBA"), {"speed": 10, "quality": 1}),
    "TGA": (("L", "RGB", "RGBA", "P"), {"compression": "tga_rle"}),
    "PCX": (("L", "RGB", "P"), {}),
}


def encoded(dice, width, height):
    """A picture of one value in one of the formats, in some cases turned by its EXIF."""
    Image.init()
    format = dice.choice([name for name in WRITERS if name in Image.SAVE])
    if width * height > 10**6 and format in ("BMP", "PPM"):
        format = "PNG"  # these two are as large as their pixels
    modes, options = WRITERS[format]
    exif = Image.Exif()
    exif[0x112] = dice.randrange(1, 9)
    file = io.BytesIO()
    Image.new(dice.choice(modes), (width, height), 3).save(file, format, exif=exif, **options)
    return file.getvalue()


def jpeg_of_scans(side, count):
    """A grey progressive JPEG of many scans, of which all but the first say nothing about any block."""

    def segment(marker, data):
        return bytes([255, marker]) + struct.pack(">H", len(data) + 2) + data

    blocks = (-(-side // 8)) ** 2
    bits = "".join("0" + format(16383, "014b") for _ in range(-(-blocks // (16384 + 16383))))
    bits += "1" * (-len(bits) % 8)
    empty = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    head = segment(0xDB, b"\0" + bytes([1]) * 64) + segment(0xC2, struct.pack(">BHHB", 8, side, side, 1) + b"\1\x11\0")
    tables = segment(0xC4, bytes([0x10, 1, *[0] * 15, 0xE0])) + segment(0xC4, bytes([0, 1, *[0] * 15, 0]))
    scans = segment(0xDA, bytes([1, 1, 0, 0, 0, 0])) + bytes(-(-blocks // 8))
    for number in range(count - 1):
        band = 1 + number % 63
        scans += segment(0xDA, bytes([1, 1, 0, band, band, 0])) + empty
    return b"\xff\xd8" + head + tables + scans + b"\xff\xd9"


def plain(dice):
    """A PPM in plain text, or a BMP of runs: Pillow decodes both in Python."""
    side = dice.choice((10, 700, 1400, 7000))
    if dice.randrange(2):
        kind, value = dice.choice(((b"P1", b"1"), (b"P1", b"1 "), (b"P2", b"9 "), (b"P3", b"9 "), (b"P3", b"#\n9\n")))
        return kind + b"\n%d %d\n" % (side, side) + (b"" if kind == b"P1" else b"9\n") + value * (LARGEST // len(value))
    runs = dice.choice((b"\1\0", b"\xff\0", b"\0\2\1\0", b"\0\0", b"\0\3abc\0")) * (LARGEST // 4)
    head = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, 1, len(runs), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 14 + 40 + 1024) + head + bytes(1024) + runs


def picture(dice):
    """A picture of another format, or what is none, all under the name of a picture."""
    none = (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n",
        b"%PDF-1.4\n",
        b"\xc5\xd0\xd3\xc6" + bytes(30),
    )
    if not dice.randrange(6):
        return dice.choice(none) + b"showpage " * times(dice)
    if not dice.randrange(12):
        return jpeg_of_scans(dice.choice((16, 500, 4000, 7000)), dice.choice((1, 64, 199, 201, 5000)))
    if not dice.randrange(12):
        return plain(dice)
    side = dice.choice((60,) * 20 + (2000, 4500, 7000))
    data = bytearray(encoded(dice, dice.randrange(1, side + 1) if side == 60 else side, side))
    for _ in range(dice.randrange(4)):  # the sizes stand in the first bytes, those of TIFF in the last
        place = dice.choice(
            (dice.randrange(min(64, len(data))), dice.randrange(len(data)), max(0, len(data) - dice.randrange(1, 200)))
        )
        width = dice.choice((1, 2, 4))
        data[place : place + width] = (number(dice) % 256**width).to_bytes(width, dice.choice(("little", "big")))
    return bytes(data)


def text(dice):
    parts = (
        b"2007_000032",
        b"a b c",
        b"\n",
        b"\r\n",
        b"\0",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\x1b[2J",
        b"../x",
        b"\x85",
        b"x" * 99,
    )
    return b"".join(repeated(dice.choice(parts), dice) for _ in range(dice.randrange(1, 9)))


READERS = {
    "npz": (npz, "w.npz"),
    "pth": (pth, "w.pth"),
    "legacy-pth": (legacy_pth, "w.pth"),
    "mat": (mat, "x.mat"),
    "caffemodel": (caffemodel, "w.caffemodel"),
    "safetensors": (safetensors, "w.safetensors"),
    "png": (png, "x.png"),
    "picture": (picture, "x.png"),
    "list": (text, "train.txt"),
}


def damaged(data, dice):
    """A few bytes changed, inserted, cut off or doubled, in one file of three."""
    if dice.randrange(3) or not data:
        return data
    data = bytearray(data)
    for _ in range(dice.randrange(1, 4)):
        place, length = dice.randrange(len(data)), dice.randrange(1, 16)
        kind = dice.randrange(4)
        if kind == 0:
            data[place] ^= 1 << dice.randrange(8)
        elif kind == 1:
            data[place : place + length] = bytes([dice.choice((0, 1, 127, 128, 255))]) * length
        elif kind == 2 and len(data) > 2 * length:
            del data[place : place + length]
        else:
            data[place:place] = data[place : place + length]
    return bytes(data)


def case(reader, index, seed):
    """The name and the bytes of one case."""
    dice = random.Random(f"{reader} {index} {seed}")
    write, name = READERS[reader]
    return name, damaged(write(dice), dice)


# --- the child: read the cases -----------------------------------------------------------------------------------


def read(reader, path):
    from fcn_from_scratch import weights
    from fcn_from_scratch.datasets import images, labels, lists

    if reader in ("png", "picture"):
        try:
            images.read_image(path)
        finally:
            labels.read_labels(path)
    elif reader == "mat":
        try:
            labels.read_mat_labels(path, "x", field="Seg")
        finally:
            labels.read_mat_labels(path, "x")
    elif reader == "list":
        lists.read_list(path)
    else:
        weights.read_file(path)


def outcome(reader, path):
    """(one of OUTCOMES, what went wrong)."""
    from fcn_from_scratch.checks import InputError

    start = time.process_time()
    try:
        read(reader, path)
        found = ("read", "")
    except InputError as error:
        message = str(error)
        fine = path.name in message and len(message) < 2000
        found = ("refused", "") if fine else ("traceback", f"a message of {len(message)} characters: {message[:80]}")
    except Exception as error:
        found = ("traceback", f"{type(error).__name__}: {str(error)[:200]}")
    seconds = time.process_time() - start
    return ("slow", f"{seconds:.1f} s") if seconds > SECONDS else found


def peak_megabytes():
    """The peak of this process since reset_peak, in MB; 0 where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM")), 0)


def reset_peak():
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def child(reader, first, last, seed):
    """Read the cases first..last-1; print a line before and after each."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    except ImportError:
        pass
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        for index in range(first, last):
            name, data = case(reader, index, seed)
            path = Path(folder, name)
            path.unlink(missing_ok=True)
            path.write_bytes(data)
            del data
            print(json.dumps([index, "begins", ""]), flush=True)
            reset_peak()
            result, why = outcome(reader, path)
            if (peak := peak_megabytes()) > MEGABYTES and result in ("read", "refused"):
                result, why = "large", f"{peak} MB"
            print(json.dumps([index, result, why]), flush=True)


# --- the parent: count ------------------------------------------------------------------------------------------


def run(reader, cases, seed, report=print):
    """Run the cases of one reader. Returns: Counter of OUTCOMES."""
    counts, first = Counter(), 0
    while first < cases:
        first = _run_child(reader, first, cases, seed, counts, report)
    return counts


def _run_child(reader, first, last, seed, counts, report):
    """Run a child until it ends. Returns: the first case that is still to be read."""
    command = [sys.executable, __file__, "--child", reader, str(first), str(last), str(seed)]
    begun, alarm = None, None
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            index, result, why = json.loads(line)
            if alarm is not None:
                alarm.cancel()
            if result == "begins":
                begun, alarm = index, threading.Timer(PATIENCE, process.kill)
                alarm.start()
                continue
            counts[result] += 1
            first, begun = index + 1, None
            if result not in ("read", "refused"):
                report(f"{reader} case {index} (seed {seed}): {result}: {why}")
    status = process.returncode
    if alarm is not None:
        alarm.cancel()
    if begun is not None:  # it hung and was killed, or it crashed
        result = "slow" if status == -9 else "traceback"
        counts[result] += 1
        report(f"{reader} case {begun} (seed {seed}): {result}: the process ended with status {status}")
        return begun + 1
    if status:
        raise RuntimeError(f"the child for {reader} ended with status {status}")
    return first


def main(argv=None):
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] == ["--child"]:
        reader, first, last, seed = argv[1:]
        child(reader, int(first), int(last), int(seed))
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=900, help="cases over all readers (default 900)")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other files (default 0)")
    parser.add_argument("--reader", choices=READERS, help="only this reader")
    args = parser.parse_args(argv)
    readers, total = [args.reader] if args.reader else list(READERS), Counter()
    print(f"{'reader':14}" + "".join(f"{name:>11}" for name in OUTCOMES))
    for reader in readers:
        counts = run(reader, -(-args.cases // len(readers)), args.seed)
        total += counts
        print(f"{reader:14}" + "".join(f"{counts[name]:11}" for name in OUTCOMES), flush=True)
    print(f"{'all':14}" + "".join(f"{total[name]:11}" for name in OUTCOMES))
    return 1 if any(total[name] for name in OUTCOMES[2:]) else 0


if __name__ == "__main__":
    sys.exit(main())
