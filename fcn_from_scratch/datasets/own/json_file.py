"""Read JSON from unknown sources: bounded, without repeated keys, and with every complaint in one sentence."""

import json

from fcn_from_scratch.checks import InputError, UnreadableError
from fcn_from_scratch.files import read_bytes

MOST_BYTES = 512 << 20  # COCO's own instances_train2017.json has 448 MiB


def read_json(path, most=MOST_BYTES):
    """The content of a JSON file.

    Raises: UnreadableError naming the file when it is missing, larger than `most`, or no JSON; InputError for a name
    that occurs twice in one object, of which other readers would drop one in silence.
    """
    try:
        return json.loads(read_bytes(path, most), object_pairs_hook=_once)
    except FileNotFoundError:
        raise UnreadableError(f"there is no file {path}") from None
    except OSError as error:
        raise UnreadableError(f"{path} cannot be read: {error.strerror or error}") from None
    except RecursionError:
        raise UnreadableError(f"{path} cannot be read as JSON: it is nested too deeply") from None
    except InputError as error:
        raise UnreadableError(f"{path}: {error}" if str(path) not in str(error) else str(error)) from None
    except ValueError as error:  # also a text that is not Unicode, and a number of too many digits
        raise UnreadableError(f"{path} cannot be read as JSON: {error}") from None


def _once(pairs):
    found = {}
    for name, value in pairs:
        if name in found:
            raise InputError(f"the name {name[:60]!r} stands twice in one object")
        found[name] = value
    return found
