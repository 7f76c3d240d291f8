"""Machine code on disk: what is damaged, planted or open to others is compiled anew."""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path

import pytest
import torch

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines.cpu import call as cpu_call
from quinr_pl.circuit.engines.cpu import compile as cpu_compile
from quinr_pl.circuit.engines.registry import choose
from quinr_pl.native import kept_code, machine_code

KEY = "0123456789abcdef" * 4
CODE = bytes(range(256)) * 8
POSIX = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="the system has no users of files")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "quinr-pl" / "machine-code"


@pytest.fixture
def kept(folder):
    """The one file of a folder."""
    assert kept_code.write("kernel", KEY, CODE) == ""
    assert kept_code.read("kernel", KEY) == CODE
    (path,) = folder.iterdir()
    return path


def flipped(position):
    def change(data):
        changed = bytearray(data)
        changed[int(position * (len(data) - 1))] ^= 0x10
        return bytes(changed)

    return change


DAMAGES = {
    "empty": lambda data: b"",
    "cut in the digest": lambda data: data[:20],
    "digest alone": lambda data: data[:32],
    "cut in half": lambda data: data[: len(data) // 2],
    "last byte lost": lambda data: data[:-1],
    "one byte more": lambda data: data + b"\0",
    "zeros": lambda data: bytes(len(data)),
    **{f"flipped at {share}": flipped(share) for share in (0, 0.001, 0.02, 0.3, 0.5, 0.9, 1)},
}
damages = pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)


@damages
def test_damaged_code_is_not_read(kept, damage):
    kept.write_bytes(damage(kept.read_bytes()))
    assert kept_code.read("kernel", KEY) is None
    assert kept_code.write("kernel", KEY, CODE) == ""
    assert kept_code.read("kernel", KEY) == CODE


def probabilities():
    """Of a small circuit, from kernels that are loaded anew."""
    for cached in (machine_code.load, cpu_compile.kernels, cpu_call.layout):
        cached.cache_clear()
    angles, weights = torch.tensor([[0.3], [-1.2], [2.0]]), torch.arange(4.0).reshape(1, 1, 4)
    return choose("cpu").probabilities(Ansatz(1, 1), angles, weights)


@pytest.mark.slow
def test_damaged_kernels_give_the_right_numbers(folder, capfd):
    expected = probabilities()
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    capfd.readouterr()
    for damage in DAMAGES.values():
        path.write_bytes(damage(whole))
        assert torch.equal(probabilities(), expected)
        assert "compiling the CPU engine" in capfd.readouterr().err
        assert path.read_bytes() == whole
        assert torch.equal(probabilities(), expected)
        assert capfd.readouterr().err == ""


def test_code_of_another_key_under_this_name_is_not_read(kept):
    longer = KEY[:16] + KEY[16:].upper()
    assert kept_code.read("kernel", longer) is None


@POSIX
def test_others_can_neither_read_nor_write(kept, folder):
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


@POSIX
@pytest.mark.parametrize("umask", [0, 0o002, 0o022, 0o077], ids=oct)
def test_code_is_kept_under_any_umask(folder, umask):
    before = os.umask(umask)
    try:
        for code in (b"first", b"second"):
            assert kept_code.write("kernel", KEY, code) == ""
            assert kept_code.read("kernel", KEY) == code
    finally:
        os.umask(before)


@POSIX
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_can_write_to_is_replaced(kept, mode):
    kept.chmod(mode)
    assert kept_code.read("kernel", KEY) is None
    assert kept_code.write("kernel", KEY, CODE) == ""
    assert kept_code.read("kernel", KEY) == CODE


@POSIX
@pytest.mark.parametrize("mode", [0o770, 0o702, 0o1777])
def test_a_folder_that_others_can_write_to_is_left_alone(kept, folder, mode):
    folder.chmod(mode)
    assert kept_code.read("kernel", KEY) is None
    before = kept.stat().st_mtime_ns
    assert "chmod go-w" in kept_code.write("kernel", KEY, CODE)
    assert kept.stat().st_mtime_ns == before


@POSIX
@pytest.mark.parametrize("what", [stat.S_ISREG, stat.S_ISDIR], ids=["file", "folder"])
def test_what_another_user_owns_is_not_read(kept, monkeypatch, what):
    """A file is looked at once it is open: what lies under its name may have changed since."""
    real, owner = os.fstat, os.geteuid()

    def fstat(descriptor):
        found = real(descriptor)
        if not what(found.st_mode):
            return found
        return os.stat_result([*found[:4], owner + 1, *found[5:10]])

    monkeypatch.setattr(os, "fstat", fstat)
    assert kept_code.read("kernel", KEY) is None


@POSIX
def test_a_folder_of_another_user_is_left_alone(kept, monkeypatch):
    other = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: other)
    assert kept_code.read("kernel", KEY) is None
    assert "belongs to another user" in kept_code.write("kernel", KEY, CODE)


@POSIX
def test_a_link_to_a_file_is_replaced_and_not_followed(kept, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    kept.rename(elsewhere)
    kept.symlink_to(elsewhere)
    assert kept_code.read("kernel", KEY) is None
    assert kept_code.write("kernel", KEY, b"new") == ""
    assert not kept.is_symlink()
    assert elsewhere.read_bytes().endswith(CODE)


@POSIX
def test_a_link_to_a_folder_is_not_followed(kept, folder, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    folder.rename(elsewhere)
    folder.symlink_to(elsewhere)
    assert kept_code.read("kernel", KEY) is None
    assert kept_code.write("kernel", KEY, b"new") != ""
    assert (elsewhere / kept.name).read_bytes().endswith(CODE)


@POSIX
def test_a_pipe_does_not_block(kept):
    kept.unlink()
    os.mkfifo(kept)
    assert kept_code.read("kernel", KEY) is None
    assert kept_code.write("kernel", KEY, CODE) == ""


def test_a_full_disk_leaves_nothing_behind(folder, monkeypatch, capfd):
    def full(path, data):
        path.touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    kept_code._say_once.cache_clear()
    assert probabilities().isfinite().all()
    assert probabilities().isfinite().all()
    assert list(folder.iterdir()) == []
    said = capfd.readouterr().err
    assert said.count("No space left") == 1
    assert said.count("compiling") == 2


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path, capfd, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    kept_code._say_once.cache_clear()
    assert probabilities().isfinite().all()
    assert "compiled code is not kept" in capfd.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows a home without HOME")
def test_a_relative_cache_is_ignored_and_a_home_is_no_must(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert kept_code.write("kernel", KEY, CODE) == ""
    assert (tmp_path / "home/.cache/quinr-pl/machine-code").is_dir()
    for home in ("also/relative", ""):
        monkeypatch.setenv("HOME", home)
        monkeypatch.setattr(Path, "home", lambda home=home: Path(home))
        assert kept_code.read("kernel", KEY) is None
        assert "absolute" in kept_code.write("kernel", KEY, CODE)
    assert {path.name for path in tmp_path.iterdir()} == {"home"}

    def none():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", none)
    assert kept_code.read("kernel", KEY) is None
    assert "absolute" in kept_code.write("kernel", KEY, CODE)


def test_systems_without_users_and_descriptors_of_folders(monkeypatch):
    monkeypatch.delattr(os, "geteuid", raising=False)
    monkeypatch.setattr(os, "supports_dir_fd", set())
    assert kept_code.write("kernel", KEY, CODE) == ""
    assert kept_code.read("kernel", KEY) == CODE


def test_what_has_long_been_unused_is_forgotten(kept, folder):
    others = [folder / name for name in ("old-0123.o", "new-0123.o", "old.txt")]
    for path in others:
        path.write_bytes(b"")
    ages = {others[0]: 61, others[1]: 59, others[2]: 61, kept: 61}
    for path, days in ages.items():
        os.utime(path, (0, path.stat().st_mtime - days * 24 * 3600))
    assert kept_code.read("kernel", KEY) == CODE  # in use, whatever its age
    assert kept_code.write("another", KEY, CODE) == ""
    names = {path.name for path in folder.iterdir()}
    assert names == {"new-0123.o", "old.txt", kept.name, f"another-{KEY[:16]}.o"}
