"""Kernels for CUDA without a GPU: what NVRTC compiles, and what a driver would be asked for."""

from __future__ import annotations

import ctypes
import shutil
import subprocess

import pytest
import torch

from quinr_pl.errors import QuinrError
from quinr_pl.native import cuda_code, cuda_compiler

SOURCE = """
extern "C" __global__ void scaled(float* x, long long n, double factor, int add) {
    long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (i < n) x[i] = x[i] * factor * FACTOR + add;
}
"""
DRIVER = r"""
#include <string.h>
extern "C" {
struct {
    char name[64];
    unsigned sizes[7];
    long long address, count;
    double factor;
    int add, pushed;
    void* stream;
} seen;
int cuCtxPushCurrent_v2(void* context) { seen.pushed += context == (void*)11; return 0; }
int cuCtxPopCurrent_v2(void**) { seen.pushed -= 1; return 0; }
int cuModuleLoadData(void** module, const char* code) {
    *module = (void*)12;
    return memcmp(code, "code", 4) ? 209 : 0;
}
int cuModuleGetFunction(void** function, void* module, const char* name) {
    if (module != (void*)12 || strcmp(name, "scaled")) return 500;
    strcpy(seen.name, name);
    *function = (void*)13;
    return 0;
}
int cuFuncSetAttribute(void*, int attribute, int value) { return attribute == 8 && value <= 232448 ? 0 : 1; }
int cuGetErrorString(int status, const char** text) {
    *text = status == 500 ? "named symbol not found" : "invalid";
    return 0;
}
int cuLaunchKernel(void* function, unsigned a, unsigned b, unsigned c, unsigned d, unsigned e, unsigned f,
                   unsigned shared, void* stream, void** arguments, void** extra) {
    if (function != (void*)13 || extra || seen.pushed != 1) return 1;
    unsigned sizes[] = {a, b, c, d, e, f, shared};
    memcpy(seen.sizes, sizes, sizeof sizes);
    seen.stream = stream;
    seen.address = *(long long*)arguments[0]; seen.count = *(long long*)arguments[1];
    seen.factor = *(double*)arguments[2]; seen.add = *(int*)arguments[3];
    return 0;
}
}
"""


class Seen(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char * 64),
        ("sizes", ctypes.c_uint * 7),
        ("address", ctypes.c_longlong),
        ("count", ctypes.c_longlong),
        ("factor", ctypes.c_double),
        ("add", ctypes.c_int),
        ("pushed", ctypes.c_int),
        ("stream", ctypes.c_void_p),
    )


def nvrtc_is_missing() -> bool:
    try:
        return not cuda_compiler.version()
    except QuinrError:
        return True


NEEDS_NVRTC = pytest.mark.skipif(nvrtc_is_missing(), reason="NVRTC is not installed")


@NEEDS_NVRTC
@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
def test_kernels_are_compiled_without_a_gpu(architecture):
    code = cuda_compiler.compiled(SOURCE, architecture, (("FACTOR", 3),))
    assert code.startswith(b"\x7fELF")
    assert b"scaled" in code
    assert code != cuda_compiler.compiled(SOURCE, architecture, (("FACTOR", 4),))


@NEEDS_NVRTC
def test_what_does_not_compile_is_an_error_with_the_compilers_reason():
    with pytest.raises(
        QuinrError, match=r"sm_90.*kernels.cu\(4\): error: identifier \"FACTOR\" is undefined"
    ):
        cuda_compiler.compiled(SOURCE, "sm_90")


def test_without_nvrtc_the_error_names_the_remedy(monkeypatch):
    monkeypatch.setattr(cuda_compiler, "_paths", lambda: iter(()))
    with pytest.raises(QuinrError, match="install nvidia-cuda-nvrtc"):
        cuda_compiler._library.__wrapped__()


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """A library with the driver's functions that writes down what it is asked for."""
    if shutil.which("g++") is None:
        pytest.skip("no C++ compiler")
    text, path = tmp_path / "driver.cpp", tmp_path / "driver.so"
    text.write_text(DRIVER)
    subprocess.run(["g++", "-shared", "-fPIC", "-o", path, text], check=True)
    library = ctypes.CDLL(str(path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(cuda_code, "_driver", lambda: library)
    monkeypatch.setattr(cuda_code, "architecture", lambda index: "sm_90")
    monkeypatch.setattr(cuda_code, "_context", lambda index: ctypes.c_void_p(11))
    monkeypatch.setattr(cuda_compiler, "version", lambda: "13.0")
    monkeypatch.setattr(cuda_compiler, "compiled", lambda *_: b"code")
    stream = type("Stream", (), {"cuda_stream": 77})
    monkeypatch.setattr(torch.cuda, "current_stream", lambda index: stream)
    yield Seen.in_dll(library, "seen")
    cuda_code._module.cache_clear()
    cuda_code._kernel.cache_clear()


def test_a_launch_hands_on_sizes_stream_and_arguments(driver):
    kernel = cuda_code.Program("a sample", SOURCE).kernel("scaled", torch.device("cuda", 0))
    kernel((3, 2), 64, None, 2**40, 0.1, ctypes.c_int(-5), shared=100_000)
    assert (driver.name, list(driver.sizes)) == (b"scaled", [3, 2, 1, 64, 1, 1, 100_000])
    assert (driver.address, driver.count, driver.factor, driver.add) == (0, 2**40, 0.1, -5)
    assert (driver.stream, driver.pushed) == (77, 0)
    kernel(0, 64, None, 1, 2.0, ctypes.c_int(0))  # no blocks: no launch, which CUDA would refuse
    assert driver.count == 2**40


def test_what_cannot_be_launched_is_refused(driver):
    program = cuda_code.Program("a sample", SOURCE)
    with pytest.raises(QuinrError, match=r"halved of a sample: named symbol not found \(CUDA 500\)"):
        program.kernel("halved", torch.device("cuda", 0))
    kernel = program.kernel("scaled", torch.device("cuda", 0))
    with pytest.raises(QuinrError, match="on cuda:0 got a tensor on cpu"):
        kernel(1, 1, torch.zeros(3), 3, 1.0, ctypes.c_int(0))
    with pytest.raises(QuinrError, match="with 300000 shared bytes: invalid"):
        kernel(1, 1, None, 3, 1.0, ctypes.c_int(0), shared=300_000)
    assert driver.pushed == 0
