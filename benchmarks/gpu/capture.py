"""CUDA graphs of what is timed."""

from __future__ import annotations

from collections.abc import Callable

import torch


def captured(run: Callable[[], object]) -> Callable[[], None]:
    """What replays a graph of a run, after three runs on a side stream, as torch asks for."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = run()

    def replay(kept: object = result) -> None:  # its memory is the graph's
        graph.replay()

    return replay
