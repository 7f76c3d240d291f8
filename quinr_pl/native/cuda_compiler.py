"""CUDA C++ compiled at run time by NVRTC, which torch for CUDA brings: no toolkit, no GPU."""

from __future__ import annotations

import ctypes
import os
import re
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from quinr_pl.errors import QuinrError

_OPTIONS = ("--std=c++17", "--fmad=true", "--device-as-default-execution-space")
_FILES = ("libnvrtc.so.*", "libnvrtc-*.so*", "nvrtc64_*.dll")
"""Names of the library: of Linux, as torch renames it in its own folder, and of Windows."""
_OTHER_LIBRARIES = re.compile(r"builtins|\.alt\.|static")


def compiled(source: str, architecture: str, constants: Sequence[tuple[str, int | str]] = ()) -> bytes:
    """Machine code (a cubin) of CUDA C++.

    Args:
        source: The text. It needs no header: NVRTC knows what belongs to the language, and finds no others.
            Kernels are ``extern "C"``, so that they are found under their names.
        architecture: Of the device, ``sm_90`` for example.
        constants: Macros that the text is compiled with, such as template arguments: name and value.

    Raises:
        QuinrError: If there is no NVRTC, or it does not compile the text; its message is the log's first
            error.
    """
    library = _library()
    options = [
        *_OPTIONS,
        f"--gpu-architecture={architecture}",
        *(f"-D{name}={value}" for name, value in constants),
    ]
    given = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
    program = ctypes.c_void_p()
    _check(library.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"kernels.cu", 0, None, None))
    try:
        if library.nvrtcCompileProgram(program, len(options), given):
            log = _read(library.nvrtcGetProgramLogSize, library.nvrtcGetProgramLog, program)
            raise QuinrError(
                f"NVRTC {version()} for {architecture}: {_first_error(log.decode(errors='replace'))}"
            )
        return _read(library.nvrtcGetCUBINSize, library.nvrtcGetCUBIN, program)
    finally:
        library.nvrtcDestroyProgram(ctypes.byref(program))


@cache
def version() -> str:
    """Version of NVRTC.

    Raises:
        QuinrError: If there is none.
    """
    major, minor = ctypes.c_int(), ctypes.c_int()
    _check(_library().nvrtcVersion(ctypes.byref(major), ctypes.byref(minor)))
    return f"{major.value}.{minor.value}"


def _read(size_of: Any, read: Any, program: ctypes.c_void_p) -> bytes:
    size = ctypes.c_size_t()
    _check(size_of(program, ctypes.byref(size)))
    text = ctypes.create_string_buffer(size.value)
    _check(read(program, text))
    return text.raw


def _first_error(log: str) -> str:
    lines = [line for line in log.strip("\0\n ").splitlines() if line.strip()]
    return next((line for line in lines if "error" in line), lines[0] if lines else "no reason given").strip()


def _check(status: int) -> None:
    if status:
        library = _library()
        raise QuinrError(f"NVRTC: {library.nvrtcGetErrorString(status).decode()}")


@cache
def _library() -> ctypes.CDLL:
    reasons = []
    for path in _paths():
        try:
            for part in path.parent.glob("libnvrtc-builtins.so.*"):  # which the library does not find itself
                ctypes.CDLL(str(part))
            library = ctypes.CDLL(str(path))
        except OSError as error:
            reasons.append(str(error))
            continue
        library.nvrtcGetErrorString.restype = ctypes.c_char_p
        return library
    remedy = "install nvidia-cuda-nvrtc, which torch's build for CUDA needs, too"
    raise QuinrError(
        f"no NVRTC to compile kernels for CUDA with ({'; '.join(reasons) or 'not found'}); {remedy}"
    )


def _paths() -> Iterator[Path]:
    """Files that may be the library: those of torch's own version of CUDA first, then the newest."""
    built_for = (torch.version.cuda or "").partition(".")[0]
    found = [path for folder in _folders() for path in _in_folder(folder)]
    return iter(sorted(dict.fromkeys(found), key=lambda path: built_for not in _numbers(path)))


def _in_folder(folder: Path) -> list[Path]:
    found = [path for name in _FILES for path in folder.glob(name) if not _OTHER_LIBRARIES.search(path.name)]
    return sorted(found, key=lambda path: [int(number) for number in _numbers(path)], reverse=True)


def _numbers(path: Path) -> list[str]:
    """Version in the name of a library's file; Windows writes 13.0 as 130."""
    numbers = re.findall(r"\d+", path.name.partition(".so.")[2])
    return numbers or [number[:2] for number in re.findall(r"_(\d+)_", path.name)]


def _folders() -> Iterator[Path]:
    """Where the library may lie: NVIDIA's wheels of CUDA 12 and 13, torch's own folder, toolkits."""
    nvidia = find_spec("nvidia")
    for root in (nvidia.submodule_search_locations or ()) if nvidia else ():
        yield from (path for name in ("lib", "bin", "bin/x86_64") for path in Path(root).glob(f"*/{name}"))
    yield Path(torch.__file__).parent / "lib"
    homes = [os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH"), sys.prefix, "/usr/local/cuda", "/usr"]
    for home in filter(None, homes):
        yield from (Path(home) / name for name in ("lib64", "lib", "bin", "lib/x86_64-linux-gnu"))
