from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from quinr_pl.evaluation.rate_distortion import bjontegaard_psnr
from quinr_pl.experiments import plots, table
from quinr_pl.experiments.clouds import clouds_figure
from quinr_pl.experiments.report import Crop, Report
from quinr_pl.experiments.report_files import _published as published_for

ROWS = [
    {
        "image": image,
        "method": method,
        "point": point,
        "seed": seed,
        "bpp": rate * (1 + 0.1 * seed),
        "psnr": quality + seed + (3 if method == "A & B" else 0),
        "bytes": 100,
        "command": "quinr-pl fit <x>",
        "versions": {"torch": "2"},
    }
    for image in ("one", "two")
    for method in ("A & B", "JPEG2000")
    for point, rate, quality in (("low", 0.1, 20.0), ("high", 0.4, 26.0))
    for seed in (0, 1)
]


def test_curves_are_means_over_seeds_and_images():
    curves = table.curves(ROWS)
    assert list(curves) == ["one", "two", "average"]
    assert curves["one"]["JPEG2000"] == [pytest.approx((0.105, 20.5)), pytest.approx((0.42, 26.5))]
    assert curves["average"]["A & B"] == [pytest.approx((0.105, 23.5)), pytest.approx((0.42, 29.5))]


def test_average_leaves_out_methods_that_an_image_lacks():
    rows = [row for row in ROWS if (row["image"], row["method"]) != ("two", "A & B")]
    assert list(table.curves(rows)["average"]) == ["JPEG2000"]
    assert "average" not in table.curves([row for row in ROWS if row["image"] == "one"])


def test_csv_and_json_hold_every_row():
    read = list(csv.DictReader(io.StringIO(table.write_csv(ROWS))))
    assert len(read) == len(ROWS)
    assert [float(row["psnr"]) for row in read] == [row["psnr"] for row in ROWS]
    assert "rmse" not in read[0]
    written = json.loads(table.write_json(ROWS, ["JPEG2000"]))
    assert written["rows"] == ROWS
    difference = written["summary"]["one"]["A & B"]["against JPEG2000"]["bd_psnr_db"]
    curves = table.curves(ROWS)["one"]
    assert difference == pytest.approx(bjontegaard_psnr(curves["JPEG2000"], curves["A & B"]))


class Page(HTMLParser):
    """Checks that elements are closed in order, and collects addresses and text."""

    empty = ("meta", "img", "br")

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag not in self.empty:
            self.open.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href", "xlink:href")]

    def handle_startendtag(self, tag, attributes):
        self.addresses += [value for name, value in attributes if name in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_page_needs_nothing_but_itself():
    figure = plots.rate_distortion_figure(
        table.curves(ROWS)["one"], "one", {"VTM": [(0.2, 30.0), (0.3, 31.0)]}
    )
    points = np.random.default_rng(0).normal(0, 20, (50, 3)).astype(np.float32)
    cloud = clouds_figure(points, points[:20])
    crop = Crop("A & B: 20 dB", plots.enlarged(np.zeros((2, 3, 3), np.uint8)))
    report = Report(
        "A <title>",
        ROWS,
        table.summary(ROWS, ["JPEG2000"]),
        {"one": [plots.svg(figure)]},
        {"one": [crop]},
        ["A note."],
        {"VTM": "somewhere"},
        {"one": [Crop("A & B: 0.2 m", plots.png(cloud))]},
    )
    page = Page(report.html())
    assert page.open == []
    assert all(address.startswith(("#", "data:")) for address in page.addresses)
    assert "A & B" in page.text
    assert "quinr-pl fit <x>" in page.text
    assert re.search(r"\+3\.00 dB", page.text)
    assert "A & B: 0.2 m" in page.text


def test_dots_of_points_are_as_bright_as_what_is_missing_is_far():
    scan = np.array([[10, 0, 0], [20, 0, 0], [0, 5, -1]], np.float32)
    figure = clouds_figure(scan, np.array([[10, 0, 0], [0, 5, -0.6]], np.float32))
    above, _, ahead, *_ = figure.axes
    (dots,) = above.collections
    shown = {
        tuple(place): error
        for place, error in zip(dots.get_offsets().tolist(), dots.get_array(), strict=True)
    }
    assert shown == {(0, 10): 0, (0, 20): 10, (-5, 0): pytest.approx(0.4)}
    (dots,) = ahead.collections
    assert dots.get_offsets()[1].tolist() == pytest.approx([-90, -np.degrees(np.arctan2(1, 5))])
    nothing = clouds_figure(scan, scan[:0])
    assert (nothing.axes[0].collections[0].get_array() > 1).all()


def test_plots_are_reproducible():
    figures = [plots.rate_distortion_figure(table.curves(ROWS)["one"], "one") for _ in range(2)]
    assert plots.svg(figures[0]) == plots.svg(figures[1])
    assert Image.open(io.BytesIO(plots.png(figures[0]))).size == (1125, 750)


def test_published_means_are_drawn_beside_photographs_of_kodak_alone():
    average = table.AVERAGE
    assert published_for(average, [average, "kodim02", "kodim15"])
    assert not published_for(average, [average, "kodim02", "photo"])
    assert not published_for(average, [average, "00-000000", "03-000000"])
    assert published_for("kodim02", ["kodim02", "photo"])


def test_enlarged_pictures():
    colours = np.random.default_rng(0).integers(0, 256, (4, 5, 3)).astype(np.uint8)
    shown = np.asarray(Image.open(io.BytesIO(plots.enlarged(colours, zoom=2))))
    np.testing.assert_array_equal(shown[::2, ::2], colours)
