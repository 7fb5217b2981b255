"""The peak memory of a process, and how much memory is free."""

import os
import sys
from pathlib import Path


def peak(process="self"):
    """The peak memory of this process so far, in bytes; None where the system does not report it (Windows).

    process   the id of another process, which only Linux reports
    """
    taken = _proc(f"/proc/{process}/status", "VmHWM")
    if taken is None and process == "self":
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
    limits = [limit for limit in (free, _container_room(), _room_of_process()) if limit is not None]
    if limits:
        return min(limits)
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def room():
    """Bytes that this process can take in all: those that it has taken and those that are free; None if unknown."""
    free = available()
    return None if free is None else free + (_proc("/proc/self/status", "VmRSS") or 0)


def _room_of_process():
    """Bytes that this process may still take by its own limit (ulimit -v), or None."""
    try:
        import resource
    except ImportError:
        return None
    limit, taken = resource.getrlimit(resource.RLIMIT_AS)[0], _proc("/proc/self/status", "VmSize")
    return None if limit == resource.RLIM_INFINITY or taken is None else max(limit - taken, 0)


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
