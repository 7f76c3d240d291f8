"""The README's picture: a photograph, what its file decodes to, and the error.

Run ``quinr-pl fit --config sample.yaml`` first, then ``python -m benchmarks.readme_picture FILE.quinr``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib.pyplot as plt

from quinr_pl.codec import decode
from quinr_pl.datamodules import SampleDataModule
from quinr_pl.evaluation.metrics import bits_per_pixel
from quinr_pl.signals.distortion import psnr


def main() -> None:
    """Writes docs/images/sample.png."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="what the fit of sample.yaml left")
    parser.add_argument("--output", type=Path, default=Path("docs/images/sample.png"))
    options = parser.parse_args()
    encoded = options.file.read_bytes()
    decoded = decode(encoded, str(options.file))
    values, spec = decoded.reconstruct(), decoded.spec
    data = SampleDataModule(longer_side=max(spec.shape))
    data.setup()
    rate = bits_per_pixel(len(encoded), spec.pixels)
    titles = {
        f"photograph, {' x '.join(map(str, spec.shape))}": data.values,
        f"decoded from {len(encoded)} bytes: {psnr(data.values, values, 255):.1f} dB, {rate:.2f} bpp": values,
        "error": spec.error_picture(data.values, values),
    }
    figure, axes = plt.subplots(1, 3, figsize=(12, 4.4), layout="constrained")
    for axis, (title, picture) in zip(axes, titles.items(), strict=True):
        axis.imshow(picture, interpolation="nearest")
        axis.set_title(title, fontsize=11)
        axis.axis("off")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.output, dpi=80)


if __name__ == "__main__":
    main()
