"""COCO's published encodings of a mask, written out as slow loops (cocodataset/cocoapi, common/maskApi.c)."""


def slow_counts(mask):
    """The run lengths of a mask: pixel by pixel down the columns, zeros first (rleEncode of common/maskApi.c)."""
    counts, last, run = [], False, 0
    for column in range(mask.shape[1]):
        for row in range(mask.shape[0]):
            if bool(mask[row, column]) != last:
                counts.append(run)
                last, run = not last, 0
            run += 1
    return [*counts, run]


def slow_text(counts):
    """The compressed text of run lengths (rleToString of common/maskApi.c)."""
    text = ""
    for i, count in enumerate(counts):
        x = count - counts[i - 2] if i > 2 else count
        more = True
        while more:
            bits = x & 31
            x >>= 5
            more = x != -1 if bits & 16 else x != 0
            text += chr((bits | 32 if more else bits) + 48)
    return text
