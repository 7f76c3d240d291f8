"""One page with all curves, tables and crops of a sweep, that needs nothing but itself."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from quinr_pl.experiments.table import AVERAGE, Row
from quinr_pl.signals.kinds import figures_of_kinds

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1180px; margin: 2rem auto; padding: 0 1rem; }
h1, h2, h3 { line-height: 1.2; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; font-size: 14px; }
th, td { padding: .25rem .6rem; text-align: right; border-bottom: 1px solid #8884; }
th:first-child, td:first-child, .text { text-align: left; }
figure { margin: 0; } figcaption { font-size: 13px; }
.plots, .crops { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start; }
.plots svg { width: 560px; height: auto; background: #fff; }
.crops img { max-width: 100%; image-rendering: pixelated; display: block; }
.clouds img { max-width: 100%; }
details { margin: 1rem 0; } code { font-size: 12px; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
"""

_CLOUDS = (
    "Points from above and from the sensor: of the scan by the distance to the nearest decoded one, and "
    "decoded ones by that to the nearest of the scan"
)

# Heading of a column, and how its figures are printed; what kinds of signal measure goes between the two.
_QUALITY = {
    "bpp": ("bpp", "{:.4f}"),
    "psnr": ("PSNR (dB)", "{:.2f}"),
}
_COST = {
    "bytes": ("bytes", "{}"),
    "parameters": ("parameters", "{}"),
    "encode_seconds": ("encode (s)", "{:.1f}"),
    "decode_seconds": ("decode (s)", "{:.2f}"),
}


@dataclass(frozen=True)
class Crop:
    """A picture of a decoded signal, of a part of it or of its points.

    Args:
        caption: Method, rate and quality.
        picture: Bytes of a PNG.
    """

    caption: str
    picture: bytes


@dataclass(frozen=True)
class Report:
    """What the page shows.

    Args:
        title: Of the page.
        rows: The figures of every job.
        summary: As `quinr_pl.experiments.table.summary` gives it.
        plots: Image, or "average" -> SVGs of its curves.
        crops: Image -> parts of decoded signals at about one rate.
        notes: Sentences below the title.
        sources: Published curve -> where it comes from.
        clouds: Scan -> points of the files that ``crops`` show.
    """

    title: str
    rows: Sequence[Row]
    summary: Mapping[str, Mapping[str, Mapping[str, Any]]]
    plots: Mapping[str, Sequence[str]]
    crops: Mapping[str, Sequence[Crop]] = field(default_factory=dict)
    notes: Sequence[str] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    clouds: Mapping[str, Sequence[Crop]] = field(default_factory=dict)

    def html(self) -> str:
        """The page as HTML."""
        images = [image for image in self.summary if image != AVERAGE]
        ordered = [AVERAGE, *images] if AVERAGE in self.summary else images
        body = [f"<h1>{escape(self.title)}</h1>"]
        body += [f"<p>{escape(note)}</p>" for note in self.notes]
        body += [self._section(image) for image in ordered]
        body += ["<h2>Every point</h2>", self._points(), self._origins()]
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
            f"<title>{escape(self.title)}</title>\n"
            f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>\n<body>\n'
            + "\n".join(body)
            + "\n</body></html>\n"
        )

    def _section(self, image: str) -> str:
        plots = "".join(map(_inline_svg, self.plots.get(image, ())))
        beside = f'<div class="plots">{plots}{self._differences(image)}</div>'
        return f"<h2>{escape(image)}</h2>{beside}{self._pictures(image)}"

    def _differences(self, image: str) -> str:
        anchors = [f"against {name}" for name in self.summary[image]]
        used = [a for a in anchors if any(a in curve for curve in self.summary[image].values())]
        if not used:
            return ""
        heads = "".join(f"<th>BD-rate {escape(a)}</th><th>BD-PSNR {escape(a)}</th>" for a in used)
        lines = []
        for method, curve in self.summary[image].items():
            cells = ""
            for anchor in used:
                difference = curve.get(anchor, {})
                cells += _cell(difference.get("bd_rate_percent"), "{:+.1f} %")
                cells += _cell(difference.get("bd_psnr_db"), "{:+.2f} dB")
            lines.append(f"<tr><td>{escape(method)}</td>{cells}</tr>")
        return f'<div class="scroll"><table><tr><th>method</th>{heads}</tr>{"".join(lines)}</table></div>'

    def _pictures(self, image: str) -> str:
        crops, clouds = (_figures(found.get(image, ())) for found in (self.crops, self.clouds))
        text = f'<h3>At about the same rate</h3><div class="crops">{crops}</div>' if crops else ""
        return text + (f'<h3>{_CLOUDS}</h3><div class="clouds">{clouds}</div>' if clouds else "")

    def _points(self) -> str:
        figures = _QUALITY | figures_of_kinds() | _COST
        keys = [key for key in figures if any(row.get(key) is not None for row in self.rows)]
        heads = "".join(f"<th>{escape(figures[key][0])}</th>" for key in keys)
        lines = []
        for row in sorted(self.rows, key=lambda row: (row["image"], row["method"], row["bpp"])):
            names = "".join(
                f'<td class="text">{escape(str(row[key]))}</td>' for key in ("method", "point", "seed")
            )
            cells = "".join(_cell(row.get(key), figures[key][1]) for key in keys)
            lines.append(f'<tr><td class="text">{escape(row["image"])}</td>{names}{cells}</tr>')
        names = "".join(f'<th class="text">{name}</th>' for name in ("method", "point", "seed"))
        head = f"<tr><th>image</th>{names}{heads}</tr>"
        return f'<div class="scroll"><table>{head}{"".join(lines)}</table></div>'

    def _origins(self) -> str:
        commands = "".join(
            f"<li>{escape(row['image'])}, {escape(row['method'])}, {escape(row['point'])}: "
            f"<code>{escape(row['command'])}</code></li>"
            for row in self.rows
            if row.get("command")
        )
        versions: dict[str, str] = {}
        for row in self.rows:
            versions |= row.get("versions", {})
        packages = ", ".join(f"{escape(name)} {escape(number)}" for name, number in sorted(versions.items()))
        sources = "".join(
            f"<li>{escape(name)}: {escape(source)}</li>" for name, source in self.sources.items()
        )
        published = f"<h2>Published curves</h2><ul>{sources}</ul>" if sources else ""
        return (
            f"{published}<h2>How to make them again</h2><p>Versions: {packages}.</p>"
            f"<details><summary>The command of every fit</summary><ul>{commands}</ul></details>"
        )


def _cell(value: Any, form: str) -> str:
    return f"<td>{form.format(value) if value is not None else '–'}</td>"


def _figures(pictures: Sequence[Crop]) -> str:
    return "".join(
        f'<figure><img alt="{escape(shown.caption)}" src="data:image/png;base64,'
        f'{base64.b64encode(shown.picture).decode()}"><figcaption>{escape(shown.caption)}</figcaption></figure>'
        for shown in pictures
    )


def _inline_svg(text: str) -> str:
    return text[text.index("<svg") :]
