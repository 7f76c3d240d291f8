"""Processor time that a control group of Linux, a container's for example, lets this process use."""

from __future__ import annotations

import math
import sys
from pathlib import Path, PurePosixPath

_MEMBERSHIP, _MOUNT = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def cpu_quota(membership: Path = _MEMBERSHIP, mount: Path = _MOUNT) -> int:
    """Whole cores that the processor time of this process's control groups amounts to, rounded up.

    Args:
        membership: Tells the groups of this process (cgroups(7)).
        mount: Folder of their settings.

    Returns:
        At least 1; ``sys.maxsize`` where nothing is limited or the system has no control groups.
    """
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return sys.maxsize
    limits = [math.inf]
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        group = PurePosixPath(path.lstrip("/"))
        folders = [
            group,
            *group.parents,
        ]  # within a container the path may be that of the host: its root is there
        for folder in folders:
            limits.append(_unified(mount / folder) if not controllers else _legacy(mount / "cpu" / folder))
    least = min(limits)
    return sys.maxsize if least == math.inf else max(1, math.ceil(least))


def _unified(group: Path) -> float:
    """Cores of a group of version 2."""
    try:
        quota, period = (group / "cpu.max").read_text().split()
        return math.inf if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        return math.inf


def _legacy(group: Path) -> float:
    """Cores of a group of version 1."""
    try:
        quota, period = (int((group / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
    except (OSError, ValueError):
        return math.inf
    return quota / period if quota > 0 and period > 0 else math.inf
