from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

from quinr_pl.datamodules import KodakDataModule, kodak
from quinr_pl.errors import QuinrError

CONTENT = np.random.default_rng(0).integers(0, 256, 200_000, np.uint8).tobytes()


class Mirror(BaseHTTPRequestHandler):
    """Serves one content for every name; each entry of `breaks` cuts an answer after so many bytes."""

    content = CONTENT
    breaks: ClassVar[list[int]] = []
    ranges: ClassVar[list[str | None]] = []
    understands_ranges = True

    def do_GET(self):
        asked = self.headers.get("Range")
        self.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.understands_ranges else 0
        if start >= len(self.content):
            self.send_error(416)
            return
        body = self.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.breaks.pop(0)] if self.breaks else body)

    def log_message(self, *_):
        pass


@pytest.fixture
def mirror(monkeypatch):
    """Address of a mirror on this machine whose every image is CONTENT."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Mirror, "breaks", [])
    monkeypatch.setattr(Mirror, "ranges", [])
    monkeypatch.setitem(kodak.SHA256, "kodim01", hashlib.sha256(CONTENT).hexdigest())
    server = ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def fetch(root, mirror, cache=None) -> bytes:
    KodakDataModule("kodim01", root and str(root), mirror=mirror).prepare_data()
    root = root or cache
    assert [p.name for p in (root / "kodak").iterdir()] == ["kodim01.png"]
    return (root / "kodak" / "kodim01.png").read_bytes()


def test_download(tmp_path, mirror):
    assert fetch(tmp_path, mirror) == CONTENT
    assert fetch(tmp_path, mirror) == CONTENT
    assert Mirror.ranges == [None]  # the second time it is there


def test_broken_transfer_goes_on(tmp_path, mirror):
    Mirror.breaks[:] = [70_000, 50_000]
    assert fetch(tmp_path, mirror) == CONTENT
    assert Mirror.ranges == [None, "bytes=70000-", "bytes=120000-"]


def test_next_call_resumes_what_three_attempts_left(tmp_path, mirror):
    Mirror.breaks[:] = [10_000, 10_000, 10_000]
    with pytest.raises(QuinrError, match="no connection"):
        fetch(tmp_path, mirror)
    assert [p.name for p in (tmp_path / "kodak").iterdir()] == ["kodim01.png.part"]
    assert fetch(tmp_path, mirror) == CONTENT
    assert Mirror.ranges[-1] == "bytes=30000-"


def test_server_without_ranges_starts_over(tmp_path, mirror, monkeypatch):
    monkeypatch.setattr(Mirror, "understands_ranges", False)
    Mirror.breaks[:] = [70_000]
    assert fetch(tmp_path, mirror) == CONTENT


def test_complete_part_is_taken(tmp_path, mirror):
    (tmp_path / "kodak").mkdir()
    (tmp_path / "kodak" / "kodim01.png.part").write_bytes(CONTENT)
    assert fetch(tmp_path, mirror) == CONTENT


def test_processes_that_fetch_one_image_take_turns(tmp_path, mirror):
    modules = [KodakDataModule("kodim01", str(tmp_path), mirror=mirror) for _ in range(4)]
    threads = [threading.Thread(target=module.prepare_data) for module in modules]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fetch(tmp_path, mirror) == CONTENT
    assert Mirror.ranges == [None]


def test_a_damaged_file_in_the_cache_is_fetched_again(tmp_path, mirror, monkeypatch):
    monkeypatch.delenv("QUINR_DATA", raising=False)
    monkeypatch.setattr(kodak, "cache_root", lambda: tmp_path)
    (tmp_path / "kodak").mkdir()
    (tmp_path / "kodak" / "kodim01.png").write_bytes(CONTENT[:1000])
    assert fetch(None, mirror, tmp_path) == CONTENT
    assert Mirror.ranges == [None]


def test_a_planted_part_is_not_followed(tmp_path, mirror):
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "kodak").mkdir()
    (tmp_path / "kodak" / "kodim01.png.part").symlink_to(victim)
    with pytest.raises(QuinrError, match="cannot store the download"):
        fetch(tmp_path, mirror)
    assert victim.read_bytes() == b"precious"


def test_corrupted_download_leaves_nothing(tmp_path, mirror, monkeypatch):
    monkeypatch.setattr(Mirror, "content", CONTENT[:-1] + b"\0\0")
    with pytest.raises(QuinrError, match="SHA-256"):
        fetch(tmp_path, mirror)
    assert list((tmp_path / "kodak").iterdir()) == []


def test_no_network_names_the_ways_out(tmp_path, mirror):
    with pytest.raises(QuinrError, match=r"--data\.root or QUINR_DATA.*sample\.yaml") as caught:
        KodakDataModule("kodim01", str(tmp_path), mirror="http://127.0.0.1:1").prepare_data()
    assert "\n" not in str(caught.value)


def test_absent_and_not_to_be_fetched(tmp_path):
    data = KodakDataModule(root=str(tmp_path), download=False)
    with pytest.raises(QuinrError, match=r"kodim02\.png: no such file, and --data\.download is false"):
        data.prepare_data()
    with pytest.raises(QuinrError, match="no such file"):
        data.setup()
    assert list(tmp_path.iterdir()) == []


def test_unwritable_root(tmp_path, mirror):
    (tmp_path / "file").write_text("")
    with pytest.raises(QuinrError, match="cannot store"):
        KodakDataModule("kodim01", str(tmp_path / "file"), mirror=mirror).prepare_data()


@pytest.mark.parametrize("folder", ["kodak", "."])
def test_root_with_or_without_its_folder(tmp_path, folder, monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    (tmp_path / folder).mkdir(exist_ok=True)
    Image.fromarray(pixels).save(tmp_path / folder / "kodim07.png")
    monkeypatch.setenv("QUINR_DATA", str(tmp_path))
    data = KodakDataModule("kodim07", download=False)
    data.prepare_data()
    data.setup()
    assert (data.name, data.channels) == ("kodim07", 3)
    np.testing.assert_array_equal(data.values, pixels)


def test_unknown_image():
    with pytest.raises(QuinrError, match="kodim25: the Kodak images are kodim01 to kodim24"):
        KodakDataModule("kodim25")
    assert len(kodak.SHA256) == len(set(kodak.SHA256.values())) == 24


@pytest.mark.data
def test_digests_of_the_real_images(data_root):
    present = sorted((data_root / "kodak").glob("kodim*.png"))
    assert present
    for path in present:
        assert hashlib.sha256(path.read_bytes()).hexdigest() == kodak.SHA256[path.stem]
