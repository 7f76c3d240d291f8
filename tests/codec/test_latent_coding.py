from __future__ import annotations

import math

import numpy as np
import pytest

from quinr_pl.codec import BitstreamError
from quinr_pl.codec.coding.latents import LARGEST_LATENT, IntegerContext, _Grid, decode, encode, table
from quinr_pl.network.latent.context_model import NEIGHBOURS

SHAPES = [(13, 21), (7, 11), (4, 6)]
Grids = list[np.ndarray]


def random_context(
    seed: int, neighbours: int = 12, width: int = 5, largest: int = 3000, layers: int = 1
) -> IntegerContext:
    rng = np.random.default_rng(seed)

    def weights(*shape: int) -> np.ndarray:
        return rng.integers(-largest, largest + 1, shape)

    return IntegerContext(
        NEIGHBOURS[:neighbours],
        weights(width, neighbours + 1),
        weights(width),
        weights(2, width),
        weights(2),
        weights(len(SHAPES)),
        (weights(width, width), weights(width)) if layers == 2 else None,
    )


def random_grids(seed: int, spread: float = 1.5) -> Grids:
    rng = np.random.default_rng(seed)
    return [np.rint(rng.laplace(0, spread, shape)).astype(np.int64) for shape in SHAPES]


def predicted_one_by_one(
    context: IntegerContext, grids: Grids, index: int, row: int, column: int
) -> tuple[int, int]:
    """docs/format.md for one latent, in Python's integers."""
    grid = grids[index]
    seen = []
    for down, right in context.offsets:
        y, x = row + down, column + right
        inside = y >= 0 and 0 <= x < grid.shape[1]
        seen.append(int(grid[y, x]) if inside else 0)
    seen.append(int(grids[index + 1][row // 2, column // 2]) if index + 1 < len(grids) else 0)
    seen = [min(max(value, -1023), 1023) for value in seen]
    hidden = []
    for weights, bias in zip(context.hidden_weight.tolist(), context.hidden_bias.tolist(), strict=True):
        total = bias + sum(w * value for w, value in zip(weights, seen, strict=True))
        hidden.append(min(max(total, 0), 2**24 - 1))
    if context.second is not None:
        sums = [
            unit + (sum(w * value for w, value in zip(weights, hidden, strict=True)) >> 12) + bias
            for unit, weights, bias in zip(hidden, *(part.tolist() for part in context.second), strict=True)
        ]
        hidden = [min(max(total, 0), 2**24 - 1) for total in sums]
    mean, log_scale = (
        (sum(w * value for w, value in zip(weights, hidden, strict=True)) >> 12) + bias
        for weights, bias in zip(context.output_weight.tolist(), context.output_bias.tolist(), strict=True)
    )
    mean = min(max((mean + 128) >> 8, -1023 * 16), 1023 * 16)
    scale = (log_scale + int(context.grid_bias[index]) + 5 * 4096 + 256) // 512
    return min(max(scale, 0), 87) * 16 + mean % 16, mean // 16


def places(front: slice, shape: tuple[int, ...], reach: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of a wavefront in a grid with so many zeros above, to the left and to the right."""
    framed = np.indices((shape[0] + reach, shape[1] + 2 * reach)).reshape(2, -1) - reach
    return framed[0, front], framed[1, front]


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("seed", range(3))
def test_wavefronts_see_what_raster_order_sees(seed: int, layers: int) -> None:
    context, grids = random_context(seed, (4, 12, 24)[seed], layers=layers), random_grids(seed)
    reach = (1, 2, 3)[seed]
    for index, values in enumerate(grids):
        coarser = grids[index + 1] if index + 1 < len(grids) else None
        grid = _Grid(context, index, (values.shape[0], values.shape[1]), coarser)
        visited = np.zeros(values.shape, dtype=int)
        for front in grid.wavefronts():
            rows, means = grid.predict(front)
            ys, xs = places(front, values.shape, reach)
            grid.latents[front] = values[ys, xs]
            visited[ys, xs] += 1
            for y, x, row, mean in zip(ys, xs, rows, means, strict=True):
                assert (row, mean) == predicted_one_by_one(context, grids, index, int(y), int(x))
        assert (visited == 1).all()


def test_frequencies_are_those_of_laplace_distributions() -> None:
    frequencies = table()
    assert frequencies.min() >= 1
    assert (frequencies.sum(axis=1) == 2**24).all()

    def below(distance: float, scale: float) -> float:
        tail = 0.5 * math.exp(-abs(distance) / scale)
        return tail if distance < 0 else 1 - tail

    for row in range(0, len(frequencies), 7):
        scale, mean = 2.0 ** (row // 16 / 8 - 5), row % 16 / 16
        exact = [
            below(value + 0.5 - mean, scale) - below(value - 0.5 - mean, scale) for value in range(-32, 31)
        ]
        np.testing.assert_allclose(frequencies[row, :63] / 2**24, exact, atol=5e-6)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("spread", [0.1, 2.0, 60.0])
def test_round_trip(seed: int, spread: float) -> None:
    context, grids = random_context(seed), random_grids(seed, spread)
    decoded = decode(encode(grids, context), SHAPES, context)
    for given, got in zip(grids, decoded, strict=True):
        np.testing.assert_array_equal(given, got)


@pytest.mark.parametrize("layers", [1, 2])
def test_the_largest_latents_and_weights_do_not_overflow(layers: int) -> None:
    context = random_context(0, neighbours=24, width=64, largest=32767 << 12, layers=layers)
    grids = [np.where(grid < 0, -LARGEST_LATENT, LARGEST_LATENT) for grid in random_grids(0)]
    decoded = decode(encode(grids, context), SHAPES, context)
    assert all((given == got).all() for given, got in zip(grids, decoded, strict=True))
    one = _Grid(context, 0, SHAPES[0], grids[1])
    one.values[:] = grids[0]
    for front in one.wavefronts():
        for y, x, row, mean in zip(*places(front, SHAPES[0], 3), *one.predict(front), strict=True):
            assert (row, mean) == predicted_one_by_one(context, grids, 0, int(y), int(x))


def test_one_latent_and_one_column() -> None:
    context = random_context(1)
    for shapes in ([(1, 1)], [(9, 1), (5, 1)], [(1, 9), (1, 5)]):
        grids = [np.arange(rows * columns).reshape(rows, columns) - 3 for rows, columns in shapes]
        decoded = decode(encode(grids, context), shapes, context)
        assert all((given == got).all() for given, got in zip(grids, decoded, strict=True))


def test_the_size_is_that_of_the_probabilities() -> None:
    context, grids = random_context(2), random_grids(2)
    bits = 0.0
    for index, values in enumerate(grids):
        for y in range(values.shape[0]):
            for x in range(values.shape[1]):
                row, mean = predicted_one_by_one(context, grids, index, y, x)
                symbol = int(values[y, x]) - mean + 32
                escape = not 0 <= symbol < 63
                bits += 24 - math.log2(table()[row, 63 if escape else symbol]) + 16 * escape
    assert abs(8 * len(encode(grids, context)) - bits) <= 40


def test_leftovers_and_zero_bytes_are_errors() -> None:
    context, grids = random_context(0), random_grids(0)
    payload = encode(grids, context)
    with pytest.raises(BitstreamError, match="more than the latents"):
        decode(b"\1\2\3\4" + payload, SHAPES, context)
    with pytest.raises(BitstreamError, match="zero byte"):
        decode(payload + b"\0", SHAPES, context)


def test_any_bytes_give_latents_or_an_error() -> None:
    context, rng = random_context(0), np.random.default_rng(0)
    for size in (*range(40), 400, 4000):
        try:
            decoded = decode(rng.bytes(size), SHAPES, context)
        except BitstreamError:
            continue
        assert [grid.shape for grid in decoded] == SHAPES
