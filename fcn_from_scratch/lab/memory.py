"""The peak memory of this process, and how much memory is free."""

import os
import sys
from pathlib import Path


def peak():
    """The peak memory of this process so far, in bytes; None where the system does not report it (Windows)."""
    taken = _proc("/proc/self/status", "VmHWM")
    if taken is None:
        try:
            import resource
        except ImportError:
            return None
        taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return taken


def available():
    """Bytes that new arrays can take without swapping.

    Where the system does not report this: all memory of the machine, or None.
    """
    free = _proc("/proc/meminfo", "MemAvailable")
    limits = [limit for limit in (free, _container_room()) if limit is not None]
    if limits:
        return min(limits)
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _container_room(folder="/sys/fs/cgroup"):
    """Bytes that a container may still take, or None. In a container /proc/meminfo describes the whole machine."""
    try:
        limit, used = (
            Path(folder, name).read_text(encoding="utf-8").strip() for name in ("memory.max", "memory.current")
        )
        return max(int(limit) - int(used), 0)
    except (OSError, ValueError):  # no such container, or "max": no limit
        return None


def _proc(path, key):
    """The value of a key, in bytes, from a Linux file with lines like "Key:  123 kB"; None without such a line."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith(f"{key}:")]
    return int(found[0]) * 1024 if found else None
