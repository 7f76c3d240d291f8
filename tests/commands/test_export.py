"""Circuits as OpenQASM 3, read back by a small parser and run by PennyLane."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pennylane as qml
import pytest
import torch
from processes import COMMAND, completed

from quinr_pl.circuit.ansatz import Ansatz
from quinr_pl.circuit.engines.registry import choose
from quinr_pl.circuit.openqasm import openqasm
from quinr_pl.codec import decode
from quinr_pl.codec.circuits import angles_at
from quinr_pl.commands.main import main

DATA = Path(__file__).parents[1] / "data"
GATES = {"rx": qml.RX, "ry": qml.RY, "rz": qml.RZ, "crz": qml.CRZ, "cz": qml.CZ}


def run(program: str, **inputs: float) -> np.ndarray:
    """Probabilities of the basis states, q[0] being the most significant bit."""
    lines = [line for line in program.splitlines() if line and not line.startswith("//")]
    assert lines[:2] == ["OPENQASM 3.0;", 'include "stdgates.inc";']
    assert lines[-1] == "c = measure q;"
    qubits, gates, values = 0, [], {}
    for line in lines[2:-1]:
        if found := re.fullmatch(r"qubit\[(\d+)\] q;", line):
            qubits = int(found[1])
        elif found := re.fullmatch(r"input float\[64\] (\w+);", line):
            values[found[1]] = inputs[found[1]]
        elif not re.fullmatch(rf"bit\[{qubits}\] c;", line):
            name, angle, wires = re.fullmatch(r"(\w+?)(?:\((.+)\))? (.+);", line).groups()
            turn = [] if angle is None else [values[angle] if angle in values else float(angle)]
            gates.append((name, turn, [int(wire) for wire in re.findall(r"q\[(\d+)\]", wires)]))
    assert values.keys() == inputs.keys()

    @qml.qnode(qml.device("default.qubit", wires=qubits))
    def circuit():
        for name, turn, wires in gates:
            GATES[name](*turn, wires=wires)
        return qml.probs(wires=range(qubits))

    return np.asarray(circuit())


def exported(file: str, folder: Path, *flags: str) -> str:
    assert main(["export", str(DATA / file), "-o", str(folder / "circuit.qasm"), "--overwrite", *flags]) == 0
    return (folder / "circuit.qasm").read_text()


@pytest.mark.parametrize("name", ["quinr_rgb8", "quinr_paper_gray8", "quinr_sine_layers_rgb8"])
def test_the_circuit_at_a_pixel_gives_the_pixel(name, tmp_path):
    decoded, golden = decode((DATA / f"{name}.quinr").read_bytes()), np.load(DATA / f"{name}.npy")
    readout = decoded.network.readout
    for pixel in ((0, 0), (2, 1), (golden.shape[0] - 1, golden.shape[1] - 1)):
        probabilities = run(exported(f"{name}.quinr", tmp_path, "--pixel", ",".join(map(str, pixel))))
        with torch.no_grad():
            measured = readout.matrix @ torch.from_numpy(probabilities).float()
            if readout.measured is not None:
                measured = measured[: decoded.spec.channels]
            value = decoded.spec.denormalize(readout(measured[None]).numpy())[0]
        np.testing.assert_allclose(value.astype(float), golden[pixel].astype(float), rtol=0, atol=1)


def test_the_circuit_of_latents_takes_what_is_interpolated_at_the_pixel(tmp_path):
    decoded = decode((DATA / "latent_rgb8.quinr").read_bytes())
    network, (height, width) = decoded.network, decoded.spec.shape
    with torch.no_grad():
        features = network.pyramid.interpolate(network.pyramid.rounded(), height, width, 0)
        angles = network.synthesis.embedding(features[:, 3, 5][None])
        circuit = network.synthesis.circuit
        expected = choose("torch").probabilities(circuit.ansatz, angles, circuit.weight)[0]
    found = run(exported("latent_rgb8.quinr", tmp_path, "--pixel", "3,5"))
    np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["quinr_rgb8", "latent_rgb8"])
def test_the_parametrized_circuit_takes_the_angles_of_any_pixel(name, tmp_path):
    program = exported(f"{name}.quinr", tmp_path)
    [angles] = angles_at(decode((DATA / f"{name}.quinr").read_bytes()), (2, 1))
    inputs = {f"angle_{index}": float(angle) for index, angle in enumerate(angles)}
    expected = run(exported(f"{name}.quinr", tmp_path, "--pixel", "2,1"))
    np.testing.assert_allclose(run(program, **inputs), expected, rtol=0, atol=1e-12)


def test_a_later_stage_takes_the_probabilities_of_the_one_before(tmp_path):
    decoded = decode((DATA / "quinr_three_stages.quinr").read_bytes())
    network = decoded.network
    program = exported("quinr_three_stages.quinr", tmp_path, "--pixel", "1,1", "--stage", "1")
    first = torch.from_numpy(run(program)).float()[None]
    with torch.no_grad():
        angles = network.embeddings[1](network.stage_norm(first, 0))
        circuit = network.circuits[1]
        expected = choose("torch").probabilities(circuit.ansatz, angles, circuit.weight)[0]
    found = run(exported("quinr_three_stages.quinr", tmp_path, "--pixel", "1,1", "--stage", "2"))
    np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=1e-5)


def test_gates_of_other_designs_are_written_out(tmp_path):
    decoded = decode((DATA / "quinr_qiren_rgb8.quinr").read_bytes())
    angles = angles_at(decoded, (2, 1))[1]
    circuit = decoded.network.circuits[1]
    with torch.no_grad():
        expected = choose("torch").probabilities(circuit.ansatz, torch.tensor(angles)[None], circuit.weight)[
            0
        ]
    found = run(exported("quinr_qiren_rgb8.quinr", tmp_path, "--pixel", "2,1", "--stage", "2"))
    np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("features", ["shared", "own"])
def test_shuffled_and_padded_uploads_are_written_out(features):
    ansatz = Ansatz(qubits=3, angles=5, uploads=2, features=features, pairs="ring")
    angles, weights = (
        torch.randn(1, ansatz.features_count).double(),
        torch.randn(ansatz.weights_shape).double(),
    )
    expected = choose("lightning").probabilities(ansatz, angles, weights)[0]
    found = run(openqasm(ansatz, weights.numpy(), angles[0].tolist()))
    np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("flags", [[], ["--pixel", "0,1"]])
def test_the_grammar_of_openqasm_3_takes_it(flags, tmp_path):
    pytest.importorskip("antlr4", reason="needs openqasm3[parser]")
    parser = pytest.importorskip("openqasm3")
    program = parser.parse(exported("quinr_rgb8.quinr", tmp_path, *flags))
    gates = [statement for statement in program.statements if isinstance(statement, parser.ast.QuantumGate)]
    decoded = decode((DATA / "quinr_rgb8.quinr").read_bytes())
    assert len(gates) == len(list(decoded.network.quantum_layers()[0].ansatz.gates()))


@pytest.mark.parametrize(
    ("file", "flags", "told"),
    [
        ("quinr_rgb8", ["--pixel", "0,9999"], "--pixel 0,9999: "),
        ("quinr_rgb8", ["--pixel", "0"], "--pixel 0: "),
        ("quinr_rgb8", ["--pixel", "0,x"], "give whole numbers"),
        ("quinr_rgb8", ["--stage", "2"], "--stage 2: "),
        ("quinr_rgb8", ["--stage", "0"], "--stage 0: "),
        ("quinr_three_stages", [], "has 3 circuits; give --stage 1 to 3"),
        ("coin_array", [], "has no quantum circuit"),
        ("latent_relu_gray16", [], "has no quantum circuit"),
    ],
)
def test_what_has_no_such_circuit_is_refused_in_one_line(file, flags, told, tmp_path, capsys):
    assert main(["export", str(DATA / f"{file}.quinr"), "-o", str(tmp_path / "x.qasm"), *flags]) == 2
    [line] = capsys.readouterr().err.strip().splitlines()
    assert told in line
    assert not list(tmp_path.iterdir())


def test_an_output_that_exists_is_kept_and_standard_output_takes_the_program(tmp_path, capsys):
    kept = tmp_path / "x.qasm"
    kept.write_text("mine")
    assert main(["export", str(DATA / "quinr_rgb8.quinr"), "-o", str(kept)]) == 2
    assert kept.read_text() == "mine"
    assert "exists" in capsys.readouterr().err
    program = exported("quinr_rgb8.quinr", tmp_path)
    assert completed([*COMMAND, "export", str(DATA / "quinr_rgb8.quinr"), "-o", "-"]).stdout == program
