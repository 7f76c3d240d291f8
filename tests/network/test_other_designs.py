"""QuINR with the circuits of other papers: embeddings, starts, files and headers."""

from __future__ import annotations

import contextlib
import json

import numpy as np
import pytest
import torch
from fits import QUICK_TINY, fitted
from PIL import Image

from quinr_pl.codec import BitstreamError, Nearest, compress, decode, decompress
from quinr_pl.codec.file.container import Writer, pack
from quinr_pl.codec.file.fields import write_fields
from quinr_pl.codec.file.signal_header import write_signal
from quinr_pl.codec.rounding.compensated import Compensated
from quinr_pl.commands.main import main
from quinr_pl.datamodules import SampleDataModule
from quinr_pl.network import QuINR
from quinr_pl.network.layers.embedding import AmplitudeEmbedding, LinearEmbedding
from quinr_pl.signals import IMAGE_8, SignalSpec, coordinates

SPEC = SignalSpec(IMAGE_8, (9, 8), 3, 0.0, 255.0)
QIREN = {
    "design": "qiren",
    "qubits": 4,
    "angles": 4,
    "uploads": 2,
    "layers": 2,
    "pairs": "strong",
    "shuffle": False,
    "stages": 2,
    "readout": "linear",
}
QVF = {"design": "qvf", "qubits": 3, "angles": 8, "uploads": 1, "sine_layers": 1, "sine_width": 6}


def made(arguments, seed=0):
    torch.manual_seed(seed)
    network = QuINR(**arguments)
    network.calibrate(coordinates(SPEC.shape))
    return network


@pytest.mark.parametrize("arguments", [QIREN, QVF], ids=["qiren", "qvf"])
def test_decoder_and_network_agree(arguments):
    network = made(arguments)
    data = compress(network, SPEC, Nearest(bits=12)).data
    decoded = decode(data)
    assert decoded.network.architecture() == network.architecture()
    with torch.no_grad():
        values = decoded.network(coordinates(SPEC.shape)).numpy().reshape(9, 8, 3)
    np.testing.assert_allclose(decompress(data), np.clip(values, 0, 1) * 255, rtol=0, atol=0.51)


@pytest.mark.parametrize("arguments", [QIREN, QVF], ids=["qiren", "qvf"])
def test_periods_leave_the_values_alone(arguments):
    network = made(arguments).double()
    points = coordinates(SPEC.shape).double()
    with torch.no_grad():
        before = network(points)
        for name, period in network.parameter_periods().items():
            network.get_parameter(name).add_(period.double())
        torch.testing.assert_close(network(points), before, rtol=0, atol=1e-4)  # periods are float32


def test_linear_angles_start_with_the_deviation_of_batch_normalization():
    embedding, points = LinearEmbedding(2, 7, omega0=3.0, scale=0.4), coordinates((40, 30))
    embedding.calibrate(points)
    deviation, mean = torch.std_mean(embedding(points), 0)
    torch.testing.assert_close(deviation, torch.full((7,), 0.4), rtol=1e-5, atol=0)
    torch.testing.assert_close(mean, torch.zeros(7), rtol=0, atol=1e-5)


def test_amplitudes_have_unit_norm_and_gradients_where_softmax_is_zero():
    embedding = AmplitudeEmbedding(1, 2, omega0=1.0)
    with torch.no_grad():
        embedding.weight.copy_(torch.tensor([[300.0], [-300.0]]))
        embedding.bias.zero_()
    x = torch.tensor([[1.0], [0.001]], requires_grad=True)
    amplitudes = embedding(x)
    torch.testing.assert_close(amplitudes.square().sum(1), torch.ones(2))
    amplitudes.sum().backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("changed", [{"angles": 7}, {"uploads": 2}])
def test_a_header_of_other_amplitudes_is_refused(changed):
    writer = Writer()
    write_signal(writer, SPEC)
    writer.byte(QuINR.CODE)
    write_fields(QuINR.FIELDS, writer, {**made(QVF).architecture(), **changed})
    with pytest.raises(BitstreamError, match="the 8 amplitudes of 3 qubits"):
        decode(pack(writer.getvalue(), []))


@pytest.mark.parametrize("arguments", [{**QIREN, "omega0": 2.0}, QVF], ids=["qiren", "qvf"])
def test_compensated_rounding_knows_the_errors_of_these_weights(arguments):
    network = made(arguments)
    with torch.no_grad():
        targets = network(coordinates(SPEC.shape)).clamp(0, 1)

    def found(rounding):
        data = compress(network, SPEC, rounding, targets).data
        error = decompress(data).astype(float).reshape(-1, 3) - 255 * targets.numpy()
        return len(data), np.sqrt(np.mean(error**2))

    (size, error), (nearest_size, nearest_error) = found(Compensated(rate=10.0)), found(Nearest(bits=8))
    assert size < 1.1 * nearest_size
    assert error < 0.8 * nearest_error


@pytest.mark.parametrize(
    "flags",
    [
        "--design qiren --qubits 3 --angles 3 --pairs strong --features shared --stages 2 --omega0 2",
        "--design qvf --angles 4 --uploads 1 --pairs unordered --sine_layers 1 --sine_width 5",
    ],
    ids=["qiren", "qvf"],
)
def test_fits_and_files(flags, tmp_path, capsys):
    given = [flag.replace("--", "--model.network.") for flag in flags.split()]
    folder = fitted(tmp_path, *QUICK_TINY, *given)
    [file] = folder.rglob("*.quinr")
    printed = json.loads(next(folder.rglob("result.json")).read_text())["psnr"]
    with contextlib.chdir(tmp_path):
        assert main(["decompress", str(file), "-o", "picture.png"]) == 0
    data = SampleDataModule(longer_side=24)
    data.setup()
    with Image.open(tmp_path / "picture.png") as picture:
        error = np.asarray(picture).astype(float) - data.values
    assert 10 * np.log10(255**2 / np.mean(error**2)) == pytest.approx(printed, abs=0.01)
