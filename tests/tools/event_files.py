"""Read TensorBoard's event files: records of (length, checksum, an Event of protocol buffers, checksum)."""

import struct


def events(path):
    """The Events of one file, in order."""
    from tensorboardX.proto.event_pb2 import Event

    content, start = path.read_bytes(), 0
    while start < len(content):
        (length,) = struct.unpack_from("<Q", content, start)
        event = Event()
        event.ParseFromString(content[start + 12 : start + 12 + length])
        yield event
        start += 12 + length + 4


def scalars(paths):
    """What TensorBoard shows: tag -> {step: value}. A START event takes back the steps from its own on."""
    found = {}
    for path in paths:
        for event in events(path):
            if event.HasField("session_log") and event.session_log.status == 1:
                found = {tag: {s: v for s, v in values.items() if s < event.step} for tag, values in found.items()}
            for value in event.summary.value:
                found.setdefault(value.tag, {})[event.step] = value.simple_value
    return found
