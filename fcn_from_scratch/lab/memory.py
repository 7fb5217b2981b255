"""How much memory this process took at most, and how much the machine can still give."""

import os
import sys
from pathlib import Path


def peak():
    """Bytes of memory this process held at its largest so far; None where the system does not tell (Windows)."""
    taken = _proc("/proc/self/status", "VmHWM")
    if taken is None:
        try:
            import resource
        except ImportError:
            return None
        taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return taken


def available():
    """Bytes that new arrays may take without swapping; where the system does not tell, all the machine has, or None."""
    free = _proc("/proc/meminfo", "MemAvailable")
    limits = [limit for limit in (free, _container_room()) if limit is not None]
    if limits:
        return min(limits)
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _container_room(folder="/sys/fs/cgroup"):
    """What a container may still take: /proc/meminfo there speaks of the whole machine."""
    try:
        limit, used = (
            Path(folder, name).read_text(encoding="utf-8").strip() for name in ("memory.max", "memory.current")
        )
        return max(int(limit) - int(used), 0)
    except (OSError, ValueError):  # no such container, or "max": no limit
        return None


def _proc(path, key):
    """The number of bytes behind a key of one of Linux's files of "Key:  123 kB" lines, or None."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith(f"{key}:")]
    return int(found[0]) * 1024 if found else None
