"""The device that computes the values of a decoded file, by its name."""

from __future__ import annotations

import re

from quinr_pl.errors import QuinrError

_KNOWN = re.compile(r"cpu|cuda(:[0-9]+)?")


def find_device(name: str) -> str:
    """The full name of a device that is there, such as ``cuda:0``; torch is imported to find a GPU only.

    Args:
        name: ``cpu``, ``cuda``, ``cuda:N``, or ``auto`` for a GPU where there is one.

    Raises:
        QuinrError: If the name is none of these, or there is no such device.
    """
    if name == "cpu":
        return name
    if name != "auto" and not _KNOWN.fullmatch(name):
        raise QuinrError(f"--device {name}: give cpu, cuda, cuda:N for the GPU of number N, or auto")
    import torch  # takes longer than the decoding of most files, which does without

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        if name == "auto":
            return "cpu"
        raise QuinrError(f"--device {name}: torch finds no GPU for CUDA here; give cpu or auto")
    number = int(name.partition(":")[2] or torch.cuda.current_device())
    if number >= count:
        there = ", ".join(f"cuda:{index}" for index in range(count))
        raise QuinrError(f"--device {name}: torch finds {there} here; give cpu, auto or one of these")
    return f"cuda:{number}"
