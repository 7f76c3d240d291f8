"""Training steps as graphs of a GPU: recorded once, then replayed without any work of Python's."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from quinr_pl.network import Network

Result = tuple[Tensor, dict[str, Tensor]]
"""A loss and its figures; see `Network.loss`."""

_RUNS_BEFORE = 2
"""Of a kind of step before it is recorded: they compile, and lay out what is kept."""


class CapturableOptimizer(Protocol):
    """An optimizer whose steps take all numbers that change from tensors."""

    param_groups: list[dict[str, Any]]

    def steps_taken(self) -> int:
        """Steps before the next one."""
        ...

    def count_step(self) -> None:
        """Counts a step that was taken."""
        ...

    def coefficients(self, group: dict[str, Any], rate: float, step: int) -> Sequence[float]:
        """The numbers of a group in a step, given its learning rate and the steps before."""
        ...

    def kind(self, step: int) -> Hashable:
        """Steps of the same kind do the same operations."""
        ...

    def layout(self) -> Hashable:
        """Changes when memory that steps work on is laid out anew."""
        ...

    def advance(self, coefficients: Tensor, step: int) -> None:
        """Moves the parameters: coefficients are (groups, numbers); of the step only its kind counts."""
        ...


class Recorder(Protocol):
    """What makes a graph of a function."""

    def run(self, function: Callable[[], Result]) -> Result:
        """Calls the function, as it will be recorded."""
        ...

    def record(self, function: Callable[[], Result]) -> Callable[[], Result]:
        """Makes a graph of what the function does, and returns what replays it into the same memory."""
        ...


class CudaRecorder:
    """CUDA graphs, recorded on a stream of their own."""

    def __init__(self) -> None:
        self._stream = torch.cuda.Stream()

    def run(self, function: Callable[[], Result]) -> Result:
        """See Recorder."""
        outer = torch.cuda.current_stream()
        self._stream.wait_stream(outer)
        with torch.cuda.stream(self._stream):
            result = function()
        outer.wait_stream(self._stream)
        return result

    def record(self, function: Callable[[], Result]) -> Callable[[], Result]:
        """See Recorder."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self._stream):
            result = function()

        def replay() -> Result:
            graph.replay()
            return result

        return replay


@dataclass(frozen=True)
class Schedule:
    """What changes from step to step.

    Attributes:
        first: The first step that is listed.
        rates: Learning rates of each group of parameters, for each step.
        progress: Share of the work that is done before each step.
    """

    first: int
    rates: Sequence[Sequence[float]]
    progress: Sequence[float]


class GraphedSteps:
    """Steps of a fit, each kind of them recorded once.

    A counter on the device tells a graph which row of the schedule holds. The batch lies where the graph
    expects it; the whole signal, which is the same at every step, is left where it is.

    Args:
        network: On the device.
        optimizer: Of its parameters.
        schedule: Of all steps that are to come.
        recorder: Makes the graphs.
    """

    def __init__(
        self, network: Network, optimizer: CapturableOptimizer, schedule: Schedule, recorder: Recorder
    ) -> None:
        self._network, self._optimizer, self._recorder = network, optimizer, recorder
        self._schedule = schedule
        self._parameters = [p for group in optimizer.param_groups for p in group["params"]]
        like = self._parameters[0]
        place = {"dtype": like.dtype, "device": like.device}
        self._coefficients = torch.tensor(self._coefficients_of_all(), **place)  # (steps, groups, numbers)
        self._listed = self._numbers_of_all()
        self._numbers = torch.tensor(self._listed, **place)  # (steps, numbers of the loss)
        self._counter = torch.zeros(1, dtype=torch.long, device=like.device)
        self._one = torch.ones((), **place)
        self._counted = 0
        self._batch: tuple[Tensor, ...] = ()
        self._runs: dict[Hashable, int] = {}
        self._graphs: dict[Hashable, Callable[[], Result]] = {}

    def _coefficients_of_all(self) -> list[list[Sequence[float]]]:
        optimizer, taken = self._optimizer, self._optimizer.steps_taken()
        return [
            [
                optimizer.coefficients(group, rate, taken + ahead)
                for group, rate in zip(optimizer.param_groups, rates, strict=True)
            ]
            for ahead, rates in enumerate(self._schedule.rates)
        ]

    def _numbers_of_all(self) -> list[list[float]]:
        """Numbers of the loss in each step, filled up with zeros to the largest count."""
        numbers = [list(self._network.schedule(progress)) for progress in self._schedule.progress]
        count = max(map(len, numbers), default=0)
        return [row + [0.0] * (count - len(row)) for row in numbers]

    def _take_numbers(self, row: int) -> None:
        """Lists the numbers of the loss anew where the network has others by now: a rate may be steered."""
        numbers = list(self._network.schedule(self._schedule.progress[row]))
        if numbers != self._listed[row][: len(numbers)]:
            self._listed = self._numbers_of_all()
            self._numbers.copy_(self._numbers.new_tensor(self._listed))

    def __call__(self, batch: Sequence[Tensor], step: int) -> Result:
        """Takes a step.

        Args:
            batch: Coordinates and targets, of the same shapes at every step.
            step: Its number, from the schedule's first on.

        Returns:
            Loss and figures, in memory that later steps write over.
        """
        row = step - self._schedule.first
        self._take_batch(batch)
        self._take_numbers(row)
        if row != self._counted:
            self._counter.fill_(row)
        taken, progress = self._optimizer.steps_taken(), self._schedule.progress[row]

        def function() -> Result:
            return self._step(progress, taken)

        # When others of the parameters get gradients, what the optimizer keeps moves: new graphs then.
        stage = self._network.stage(progress)
        kind = stage, self._optimizer.kind(taken), self._optimizer.layout()
        if kind not in self._graphs and self._runs.get(kind, 0) >= _RUNS_BEFORE:
            self._graphs[kind] = self._recorder.record(function)
        if kind in self._graphs:
            result = self._graphs[kind]()
        else:
            result = self._recorder.run(function)
            kind = *kind[:2], self._optimizer.layout()
            self._runs[kind] = self._runs.get(kind, 0) + 1
        self._optimizer.count_step()
        self._counted = row + 1
        return result

    def fits(self, step: int) -> bool:
        """Whether the optimizer's learning rates are those of the schedule in a step."""
        row = step - self._schedule.first
        groups = self._optimizer.param_groups
        return 0 <= row < len(self._schedule.rates) and all(
            group["lr"] == rate for group, rate in zip(groups, self._schedule.rates[row], strict=True)
        )

    def _take_batch(self, batch: Sequence[Tensor]) -> None:
        whole = self._network.whole_signal
        alike = [part.shape for part in batch] == [part.shape for part in self._batch]
        if alike and not whole:
            torch._foreach_copy_(self._batch, list(batch))
        elif not alike or _addresses(batch) != _addresses(self._batch):
            self._graphs.clear()
            self._batch = tuple(batch) if whole else tuple(map(torch.clone, batch))

    def _step(self, progress: float, taken: int) -> Result:
        for parameter in self._parameters:
            parameter.grad = None  # they find their memory in the graph
        count = len(self._network.schedule(progress))
        schedule = self._numbers.index_select(0, self._counter)[0, :count] if count else None
        with torch.enable_grad():
            coordinates, targets = self._batch
            loss, figures = self._network.loss(coordinates, targets, progress, schedule)
            loss.backward(self._one)  # left out, it would be made anew in every step
        self._optimizer.advance(self._coefficients.index_select(0, self._counter)[0], taken)
        self._counter.add_(1)
        return loss.detach(), figures


def _addresses(tensors: Sequence[Tensor]) -> list[int]:
    return [tensor.data_ptr() for tensor in tensors]
