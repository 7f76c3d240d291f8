"""Tables and plot of what `benchmarks.compress_table` has measured."""

from __future__ import annotations

import pytest
from PIL import Image

from benchmarks.compress_curves import at_published_points, below_cool_chic, draw, rates
from benchmarks.compress_table import Row

RATES = (0.05, 0.1, 0.2, 0.5)


def row(image: str, effort: int, bpp: float, gain: float) -> Row:
    """A file that is so many dB above codecs that gain 6 dB with each doubling of the rate."""
    quality = 30 + 6 * RATES.index(bpp)
    others = {
        "JPEG 2000": quality,
        "WebP": quality - 1,
        "AVIF": None,
        "Cool-Chic": quality if bpp < 0.5 else None,
    }
    return {
        "image": image,
        "effort": effort,
        "bpp": bpp,
        "psnr": quality + gain,
        "encode_seconds": 100 * bpp,
        **others,
    }


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_six_decibels_are_half_the_rate():
    doublings = (0.05, 0.1, 0.2)
    rows = [row("kodim02", 3, bpp, 6.0) for bpp in doublings] + [row("b", 3, 0.1, 1.0)]
    head, _, own, average = map(cells, rates(rows))
    assert head[3:] == ["JPEG 2000", "WebP", "Cool-Chic"]  # AVIF has no figures
    assert own[:3] == ["3", "kodim02", "3"]  # one file of b is no curve
    assert [float(own[3]), float(own[5])] == pytest.approx([-50, -50], abs=0.1)
    assert float(own[4]) < -50
    assert average[3:] == own[3:]


def test_files_of_low_rates_are_told_beside_cool_chic():
    rows = [row("a", 4, 0.1, -0.5), row("a", 4, 0.2, -1.0), row("a", 4, 0.5, 9.0), row("b", 1, 0.5, 0.0)]
    _, _, own = map(cells, below_cool_chic(rows))
    assert own == ["4", "2", "-0.75", "-1.00", "-0.50", "15"]


def test_files_of_published_sizes_are_told_beside_what_is_published_there():
    def file(effort: int, bpp: float, psnr: float) -> Row:
        return {**row("kodim08", effort, 0.1, 0.0), "bpp": bpp, "psnr": psnr, "decode_seconds": 0.54}

    rows = [file(4, 0.1629, 24.0), file(4, 0.1819, 24.4), file(4, 0.1, 22.0), file(3, 0.17, 24.2)]
    _, _, first, second, average = map(cells, at_published_points(rows))
    # Cool-Chic 5.0.1 has 24.3797 dB at 0.163177 bits a pixel.
    assert [first[1:4], first[8]] == [["kodim08", "0.1629", "24.00"], "-0.38"]
    assert first[-1] == "0.5"
    # 3.4 has 24.2345 dB at 0.181946, where the curve of 5.0.1 is higher.
    assert float(second[8]) < 24.4 - 24.2345 - 0.2
    assert average[1] == "**mean of 2**"
    assert float(average[8]) == pytest.approx((float(first[8]) + float(second[8])) / 2, abs=0.01)


def test_the_plot_has_a_panel_for_each_picture(tmp_path):
    one = [row("kodim02", effort, bpp, 1.0) for effort in (1, 3, 5) for bpp in RATES]
    draw(one, tmp_path / "one.png")
    draw(one + [row("b", 3, bpp, 0.0) for bpp in RATES], tmp_path / "two.png")
    with Image.open(tmp_path / "one.png") as narrow, Image.open(tmp_path / "two.png") as wide:
        assert wide.width > 1.5 * narrow.width
