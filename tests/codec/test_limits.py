from __future__ import annotations

import gc
import io
import os
import threading
import warnings
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from benchmarks.handmade_files import CLASSES, Header, with_nothing, with_payloads
from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines.cpu.call import Shape, layout
from quinr_pl.circuit.lowering.plan import plan
from quinr_pl.codec import UNLIMITED, BitstreamError, DecodeLimits, decode, decompress, inspect, limits_needed
from quinr_pl.codec.coding import latents as latent_coding
from quinr_pl.codec.coding import mask as mask_coding
from quinr_pl.codec.file.container import Section
from quinr_pl.codec.rate_control import network_for_bytes
from quinr_pl.commands.main import main
from quinr_pl.commands.plans import NETWORKS, SizedNetwork
from quinr_pl.native.precision import Precision
from quinr_pl.network import COIN, LatentQuINR
from quinr_pl.signals import ARRAY, IMAGE_8, RANGE_IMAGE, SignalSpec

CONFIGS = Path(__file__).parents[2] / "configs"
PHOTOGRAPH = SignalSpec(IMAGE_8, (3000, 4000), 3, 0.0, 255.0)
BIG = {"qubits": 4, "angles": 8, "uploads": 2, "layers": 1}
TOO_MUCH = {
    "sines of a wide network": Header("COIN", {"layers": 64, "width": 128}, 2000, 2000),
    "many sines of few weights": Header("COIN", {"layers": 64, "width": 16}, 8000, 8000),
    "gates of every pixel": Header("QuINR", {**BIG, "qubits": 12, "layers": 8}, 600, 600),
    "plan of many angles": Header("QuINR", {**BIG, "angles": 4096, "uploads": 4096, "features": "shared"}),
    "plan of many layers": Header("QuINR", {**BIG, "qubits": 1, "uploads": 4096, "layers": 4096}),
    "weights": Header("COIN", {"layers": 64, "width": 2048}),
    "stages": Header("QuINR", {**BIG, "qubits": 12, "angles": 4096, "stages": 16}),
    "wide context model": Header(
        "LatentQuINR", {"finest": 0, "neighbours": 24, "context_width": 256}, 2000, 2000
    ),
    "deep context model": Header(
        "LatentQuINR", {"finest": 0, "context_width": 100, "context_layers": 2}, 2000, 2000
    ),
    "pyramid of wide rows": Header("LatentQuINR", {"finest": 8, "grids": 12}, 20, 6_000_000),
    "wavefronts": Header("LatentQuINR", {"finest": 0}, 200_000, 1),
    "wide twin": Header("LatentQuINR", {"synthesis": "relu", "angles": 4096, "uploads": 40}, 1000, 1000),
    "filters of many channels": Header("LatentQuINR", {"filters": 8}, 100, 100, channels=500),
    "pixels": Header("COIN", {"layers": 1, "width": 1}, 1 << 14, (1 << 13) + 1),
    "values": Header("COIN", {"layers": 1, "width": 1}, 1 << 12, 1 << 12, channels=200),
    "rows of weights": Header("COIN", {"layers": 1, "width": 2048}, channels=1 << 16),
}


@pytest.mark.parametrize("name", TOO_MUCH)
def test_a_few_bytes_cannot_ask_for_much(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quinr_pl.codec.decoding.read_sections", None)  # whoever starts to decode fails
    with pytest.raises(BitstreamError, match=r"^few\.quinr: the file asks for .*--limits \d") as caught:
        decode(with_nothing(TOO_MUCH[name]), "few.quinr")
    assert "\n" not in str(caught.value)


def test_a_mask_cannot_ask_for_much() -> None:
    range_image = Header("COIN", {"layers": 1, "width": 1}, 1, 50_000_000, 1, RANGE_IMAGE.code)
    with pytest.raises(BitstreamError, match="the decoder allows"):
        decode(with_nothing(range_image, Section(4, b"\1")))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (Header("COIN", {"layers": 1, "width": 4, "omega0": 1e-30}), "field omega0: 1e-30 lies outside"),
        (Header("COIN", {"layers": 1, "width": 4, "omega0": -1.0}), "field omega0"),
        (Header("QuINR", {**BIG, "angle_scale": 3e38}), "field angle_scale"),
        (Header("COIN", {"layers": 1, "width": 4, "log_range": 17}), "field log_range"),
        (Header("QuINR", {**BIG, "pairs": 5}), "choice 5"),
        (Header("QuINR", {**BIG, "readout": "last_states"}, channels=17), "out_features 17"),
        (Header("COIN", {"layers": 1, "width": 4}, channels=(1 << 16) + 1), "65537 channels"),
        (Header("COIN", {"layers": 1, "width": 4}, 1 << 31, 1 << 31), r"more than 2\*\*40"),
        *(
            (Header("COIN", {"layers": 1, "width": 4}, 4, 4, 1, kind.code, interval), "signal range")
            for kind, interval in (
                (RANGE_IMAGE, (-1.0, 80.0)),
                (RANGE_IMAGE, (80.0, 0.0)),
                (RANGE_IMAGE, (5.0, 5.0)),
                (IMAGE_8, (0.0, 256.0)),
                (ARRAY, (2.0, 1.0)),
            )
        ),
    ],
)
def test_numbers_that_mean_nothing_are_refused(header: Header, message: str) -> None:
    with pytest.raises(BitstreamError, match=message):
        decode(with_nothing(header))
    with pytest.raises(BitstreamError, match=message):
        inspect(with_nothing(header))


@pytest.mark.parametrize("omega0", [2.0**-20, 2.0**20])
@pytest.mark.parametrize("scale", [2.0**-20, 2.0**20])
@pytest.mark.parametrize("stages", [1, 2])
def test_extreme_numbers_give_an_image_or_an_error_and_no_warning(
    omega0: float, scale: float, stages: int
) -> None:
    fields = {
        **BIG,
        "omega0": omega0,
        "angle_scale": scale,
        "stages": stages,
        "log_range": 16,
        "sine_layers": 1,
    }
    data = with_payloads(Header("QuINR", fields), np.random.default_rng(0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            values = decompress(data)
        except BitstreamError:
            return
    assert values.shape == (4, 4, 3)


@pytest.mark.parametrize("name", ["COIN", "QuINR"])
def test_nothing_is_initialized_at_random(name: str) -> None:
    fields = {"layers": 2, "width": 3} if name == "COIN" else BIG | {"stages": 2}
    decoded = decode(with_payloads(Header(name, fields)))
    assert not any(tensor.is_meta for tensor in decoded.network.state_dict().values())
    assert all(parameter.requires_grad for parameter in decoded.network.parameters() if parameter.ndim > 1)


def test_many_sections_are_refused() -> None:
    empty = Section(99, b"", optional=True)
    header = Header("COIN", {"layers": 1, "width": 1})
    with pytest.raises(BitstreamError, match="more than 256 sections"):
        decode(with_nothing(header, *[empty] * 256))


def test_inspect_decodes_only_what_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    def decoded(*_: Any) -> None:
        raise AssertionError("decoded in vain")

    pyramid = with_payloads(Header("LatentQuINR", {"grids": 2}, 8, 8))
    masked = with_payloads(Header("COIN", {"layers": 1, "width": 2}, 8, 8, 1, RANGE_IMAGE.code), mask=True)
    monkeypatch.setattr(latent_coding, "decode", decoded)
    monkeypatch.setattr(mask_coding, "read", decoded)
    assert inspect(pyramid)["shape"] == [8, 8, 3]
    assert inspect(masked)["sections"]["mask"] >= 0
    # A picture that is too large to decode can be looked at.
    large = with_payloads(Header("COIN", {"layers": 2, "width": 30}, 10_000, 10_000))
    assert inspect(large)["parameters"] == 2 * 30 + 30 + 30 * 31 + 3 * 31
    with pytest.raises(BitstreamError, match="the decoder allows"):
        inspect(large, limits=DecodeLimits(operations=1e6, pixel_operations=0))


def networks_of_configs() -> list[tuple[str, dict[str, Any]]]:
    """Every network of every packaged config, with its overrides of single methods and points."""
    found: list[tuple[str, dict[str, Any]]] = []

    def visit(value: Any) -> None:
        if isinstance(value, dict):
            if "class_path" in value and value["class_path"].startswith("quinr_pl.network."):
                found.append((value["class_path"].rpartition(".")[2], value.get("init_args") or {}))
            for item in value.values():
                visit(item)
        elif isinstance(value, list):
            for item in value:
                visit(item)

    for path in sorted(CONFIGS.glob("*.yaml")):
        visit(yaml.safe_load(path.read_text()))
    return found


def passes(network: str, arguments: dict[str, Any], spec: SignalSpec = PHOTOGRAPH) -> None:
    made = CLASSES[network](**arguments)
    cost = made.cost(made.architecture())
    DecodeLimits().check(spec, cost.weights + cost.setup + cost.reconstruction(spec))


def test_networks_of_the_configs_pass_on_twelve_megapixels() -> None:
    networks = networks_of_configs()
    assert {CLASSES[name] for name, _ in networks} == set(CLASSES.values())
    for name, arguments in networks:
        passes(name, arguments)
    for layers, width in ((5, 20), (5, 30), (10, 28)):
        passes("COIN", {"layers": layers, "width": width})
    for sine_layers, sine_width in ((3, 14), (4, 19), (5, 36), (5, 45)):
        passes("QuINR", {**BIG, "angles": 12, "sine_layers": sine_layers, "sine_width": sine_width})
    passes("QuINR", {**BIG, "qubits": 5, "angles": 10, "uploads": 4, "features": "own", "stages": 2})
    passes("QuINR", {"qubits": 6, "angles": 24, "uploads": 6})
    kodak = SignalSpec(IMAGE_8, (512, 768), 3, 0.0, 255.0)
    for layers, width in ((10, 40), (13, 49)):
        passes("COIN", {"layers": layers, "width": width}, kodak)
    for size in (1000, 10_000, 100_000):  # up to 2 bits a pixel
        passes("QuINR", network_for_bytes(size, 3), kodak)


@pytest.mark.parametrize("sized", NETWORKS, ids=lambda sized: f"{sized.least_effort}-{sized.least_bytes}")
def test_files_of_compress_need_no_higher_limits(sized: SizedNetwork) -> None:
    for shape in ((512, 768), (1365, 2048), (3000, 4000), (6000, 8000)):
        header = Header("LatentQuINR", {**sized.arguments, "finest": 0, "grids": 7}, *shape)
        assert limits_needed(with_nothing(header)) == 1


def test_larger_pictures_may_take_more() -> None:
    spec = SignalSpec(IMAGE_8, (10_000, 10_000), 3, 0.0, 255.0)
    passes("COIN", {"layers": 10, "width": 28}, spec)
    cost = COIN.cost(COIN(layers=64, width=128).architecture())
    with pytest.raises(BitstreamError, match="operations"):
        DecodeLimits().check(spec, cost.reconstruction(spec))
    DecodeLimits().scaled(50).check(spec, cost.reconstruction(spec))
    UNLIMITED.check(spec, cost.reconstruction(spec))


@pytest.mark.parametrize(
    ("where", "error"),
    [
        ("quinr_pl.codec.decoding.np.empty", MemoryError()),
        (
            "quinr_pl.network.decoders.coin.coordinate_values",
            RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        ),
        ("quinr_pl.codec.sections.weights.read_weights", MemoryError()),
    ],
)
def test_too_little_memory_is_one_line(where: str, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def failed(*_: Any, **__: Any) -> None:
        raise error

    data = with_payloads(Header("COIN", {"layers": 1, "width": 2}))
    monkeypatch.setattr(where, failed)
    with pytest.raises(BitstreamError, match=r"^few\.quinr: there is not enough memory"):
        decompress(data, "few.quinr")


def test_the_factor_that_a_file_needs() -> None:
    # The weights are not read for it.
    heavy = with_nothing(TOO_MUCH["pixels"])
    assert limits_needed(heavy) == pytest.approx(1 + 2**-13)
    assert limits_needed(with_payloads(Header("COIN", {"layers": 1, "width": 2}))) == 1
    with pytest.raises(BitstreamError, match="asks for"):
        decode(heavy, limits=DecodeLimits().scaled(0.999 * limits_needed(heavy)))
    with pytest.raises(BitstreamError, match="malformed"):
        decode(heavy, limits=DecodeLimits().scaled(1.001 * limits_needed(heavy)))


@pytest.mark.parametrize(("height", "width"), [(300, 40), (3, 500), (1, 1)])
@pytest.mark.parametrize("finest", [0, 8])
def test_a_coarse_pyramid_in_bands_is_that_of_the_whole(height: int, width: int, finest: int) -> None:
    torch.manual_seed(0)
    network = LatentQuINR(height=height, width=width, finest=finest, grids=12)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.normal_(std=2.0 if "grids" in name else 0.3)
        whole = network(torch.empty(height * width, 2))
        for rows in (7, 64):
            parts = [
                network.signal(start, min(start + rows * width, height * width), (height, width))
                for start in range(0, height * width, rows * width)
            ]
            torch.testing.assert_close(torch.cat(parts), whole)


def test_blocks_shrink_with_what_a_pixel_holds() -> None:
    small = decode(with_payloads(Header("COIN", {"layers": 1, "width": 4})))
    wide = decode(with_payloads(Header("COIN", {"layers": 1, "width": 1024})))
    assert wide.block * 1024 < 2**23 < small.block * 1024
    states = decode(with_payloads(Header("QuINR", {**BIG, "qubits": 10, "stages": 2, "angles": 2})))
    assert states.block * 1024 < 2**23


def test_the_plan_of_a_circuit_grows_with_its_gates() -> None:
    many = plan(Ansatz(1, 4096, 8, 1, "shared"))  # quadratic in the angles, this takes minutes
    assert many.layers == 8


def test_a_circuit_outlives_the_plans_of_many_others() -> None:
    # Kernels read the plan by its address: here it has long left the cache of plans.
    single = Precision.of(torch.empty(0))
    used = layout(Shape(Ansatz(2, 3), single, 2, True, 1, 1.0, 1.0, False, False, False))
    arrays = weakref.ref(plan(Ansatz(2, 3)))
    plan.cache_clear()
    gc.collect()
    assert arrays() is not None
    assert used.words.any()


class TestCommands:
    @pytest.fixture
    def heavy(self, tmp_path: Path) -> Path:
        path = tmp_path / "heavy.quinr"
        path.write_bytes(with_nothing(TOO_MUCH["values"]))
        return path

    def test_limits_are_raised_by_the_factor_that_the_message_names(
        self, heavy: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["decompress", str(heavy)]) == 2
        message = capsys.readouterr().err
        assert message.count("\n") == 1
        factor = message.split("--limits ")[1].split()[0]
        for allowed in (factor, "none"):
            assert main(["decompress", str(heavy), "--limits", allowed]) == 2
            assert "section weights is malformed" in capsys.readouterr().err

    @pytest.mark.parametrize("value", ["0", "-1", "nan", "many", ""])
    def test_bad_factors(self, heavy: Path, value: str, capsys: pytest.CaptureFixture[str]) -> None:
        for command in ("decompress", "inspect"):
            assert main([command, str(heavy), f"--limits={value}"]) == 2
            assert "neither a positive number nor none" in capsys.readouterr().err

    @pytest.mark.parametrize("command", ["decompress", "inspect"])
    def test_a_long_file_is_not_read(
        self, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "long.quinr"
        with path.open("wb") as file:
            file.truncate(3 << 30)  # takes no room on the disk
        assert main([command, str(path)]) == 2
        assert "longer than the 67108864 bytes" in capsys.readouterr().err

    def test_an_endless_pipe_is_not_read(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = tmp_path / "pipe"
        os.mkfifo(path)

        def feed() -> None:
            with path.open("wb") as pipe, io.BytesIO(bytes(1 << 20)) as zeros:
                try:
                    while True:
                        pipe.write(zeros.getvalue())
                except BrokenPipeError:
                    return

        writer = threading.Thread(target=feed, daemon=True)
        writer.start()
        assert main(["inspect", str(path)]) == 2
        assert "longer than" in capsys.readouterr().err
        writer.join(10)
        assert not writer.is_alive()
