"""How many processor cores this process may use."""

import os
from pathlib import Path

_CGROUP_LIMIT = Path("/sys/fs/cgroup/cpu.max")


def available_cores() -> int:
    """Cores by affinity, or by the container's CPU limit where that is less; at least 1.

    A pod on a large node sees every core of it and may use two: a worker a core would then be slower than two.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = _CGROUP_LIMIT.read_text().split()
        return max(1, min(allowed, int(quota) // int(period)))
    except (OSError, ValueError):  # no cgroup v2, or "max": no limit
        return allowed
