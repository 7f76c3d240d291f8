from __future__ import annotations

import os
import resource
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from quinr_pl.atomic_file import atomic_path, ensure_writable, make_folder, write_bytes
from quinr_pl.errors import QuinrError
from quinr_pl.file_lock import locked_folder

ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def umask():
    before = os.umask(0o027)
    yield
    os.umask(before)


def test_permissions_are_those_of_a_plain_write(tmp_path, umask):
    (tmp_path / "plain").write_bytes(b"")
    write_bytes(tmp_path / "new", b"new")
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "plain").stat().st_mode
    kept = tmp_path / "kept"
    kept.write_bytes(b"old")
    kept.chmod(0o604)
    write_bytes(kept, b"new")
    assert kept.read_bytes() == b"new"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o604


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError, QuinrError, SystemExit])
def test_what_was_there_stays_when_the_writer_fails(tmp_path, error):
    path = tmp_path / "file.png"
    path.write_bytes(b"old")

    def write() -> None:
        with atomic_path(path) as temporary:
            assert (temporary.parent, temporary.suffix) == (tmp_path, ".png")
            temporary.write_bytes(b"half")
            raise error("stopped")

    with pytest.raises(error):
        write()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file.png"]


def test_links_stay_and_their_targets_are_replaced(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_bytes(b"old")
    (tmp_path / "link").symlink_to("there/file")
    (tmp_path / "dangling").symlink_to("there/other")
    for name, target in (("link", "file"), ("dangling", "other")):
        write_bytes(tmp_path / name, b"new")
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / "there" / target).read_bytes() == b"new"
    assert names(tmp_path / "there") == ["file", "other"]


def test_planted_links_are_not_followed(tmp_path, monkeypatch):
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    monkeypatch.setattr("secrets.token_hex", lambda size: "guessed")
    with atomic_path(tmp_path / "x") as temporary:
        planted = temporary
        temporary.write_bytes(b"x")
    planted.symlink_to(victim)
    with pytest.raises(QuinrError, match="cannot write"):
        write_bytes(tmp_path / "x", b"new")
    assert victim.read_bytes() == b"precious"
    assert (tmp_path / "x").read_bytes() == b"x"


def test_pipes_and_devices_are_written_to(tmp_path, capfd):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()))
    reader.start()
    ensure_writable(pipe)
    write_bytes(pipe, b"through")
    reader.join(timeout=30)
    assert received == [b"through"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    write_bytes(Path("/dev/null"), b"lost")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    with pytest.raises(QuinrError, match="No space left on device"):
        write_bytes(Path("/dev/full"), b"x")
    assert names(tmp_path) == ["pipe"]


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "link"])
def test_an_open_file_goes_on_where_it_is(tmp_path, name):
    (tmp_path / "link").symlink_to("/dev/stdout")
    program = (
        "import os; from pathlib import Path; from quinr_pl.atomic_file import write_bytes\n"
        f"os.write(1, b'before '); write_bytes(Path({name!r}), b'data'); os.write(1, b' after')"
    )
    with open(tmp_path / "out", "wb") as out:
        subprocess.run([sys.executable, "-c", program], stdout=out, cwd=tmp_path, check=True, timeout=60)
    assert (tmp_path / "out").read_bytes() == b"before data after"


def bad_places(folder: Path) -> dict[str, tuple[Path, str]]:
    (folder / "folder").mkdir()
    (folder / "file").write_bytes(b"")
    (folder / "loop").symlink_to("loop")
    (folder / "nowhere").symlink_to("missing/file")
    return {
        "folder": (folder / "folder", "Is a directory"),
        "empty": (Path(""), "Is a directory"),
        "missing folder": (folder / "missing" / "x.png", f"no folder {folder / 'missing'}; make it first"),
        "link into a missing folder": (folder / "nowhere", f"no folder {folder / 'missing'}"),
        "file as folder": (folder / "file" / "x.png", "Not a directory"),
        "long name": (folder / ("x" * 300), "name too long"),
        "NUL": (folder / "a\0b", "no file can have this name"),
        "loop": (folder / "loop", "symbolic links"),
        "line break": (folder / "missing" / "a\nb", "no folder"),
    }


@pytest.mark.parametrize("case", [
    "folder", "empty", "missing folder", "link into a missing folder", "file as folder", "long name", "NUL",
    "loop", "line break",
])  # fmt: skip
@pytest.mark.parametrize("way", [ensure_writable, lambda path: write_bytes(path, b"x")])
def test_bad_places_end_in_one_line(tmp_path, case, way):
    path, message = bad_places(tmp_path)[case]
    before = names(tmp_path)
    with pytest.raises(QuinrError) as caught:
        way(path)
    assert message in str(caught.value)
    assert "cannot write" in str(caught.value)
    assert str(caught.value).isprintable()
    assert names(tmp_path) == before


@pytest.mark.skipif(ROOT, reason="the administrator may write everywhere")
def test_protected_places_end_in_one_line(tmp_path):
    (tmp_path / "folder").mkdir(mode=0o555)
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "file").chmod(0o444)
    for path in (tmp_path / "folder" / "x", tmp_path / "file"):
        for way in (ensure_writable, lambda path: write_bytes(path, b"x"), make_folder):
            with pytest.raises(QuinrError, match=r"Permission denied|File exists"):
                way(path)
    assert (tmp_path / "file").read_bytes() == b"old"


def test_the_longest_name_can_be_written(tmp_path):
    for path in (tmp_path / ("x" * 255), tmp_path / ("x." + "y" * 253)):
        ensure_writable(path)
        write_bytes(path, b"x")
        assert path.read_bytes() == b"x"


@pytest.fixture
def full_disk():
    """No file of this process grows beyond a mebibyte."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def save_array(path: Path) -> None:
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.save(file, np.zeros(1 << 20))


@pytest.mark.parametrize("way", [save_array, lambda path: write_bytes(path, bytes(1 << 21))])
def test_a_full_disk_leaves_what_was_there(tmp_path, full_disk, way):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(QuinrError, match=rf"{path}: cannot write \(.*\); free space") as caught:
        way(path)
    assert "None" not in str(caught.value)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_what_a_killed_writer_left_goes_with_the_next_write(tmp_path):
    program = (
        "import sys, time; from pathlib import Path; from quinr_pl.atomic_file import atomic_path\n"
        "with atomic_path(Path(sys.argv[1])): print('writing', flush=True); time.sleep(100)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "a")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    write_bytes(tmp_path / "b", b"b")
    assert len(names(tmp_path)) == 2, "a file that is being written was taken away"
    process.kill()
    process.communicate()
    write_bytes(tmp_path / "b", b"b")
    assert names(tmp_path) == ["b"]


def test_a_folder_belongs_to_one_process(tmp_path):
    program = (
        "import sys; from pathlib import Path; from quinr_pl.file_lock import locked_folder\n"
        "with locked_folder(Path(sys.argv[1]), '--folder'): pass"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with locked_folder(tmp_path, "--folder"):
        other = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert f"--folder {tmp_path}: process {os.getpid()} is at work there" in other.stderr
    assert subprocess.run(command, timeout=60).returncode == 0
