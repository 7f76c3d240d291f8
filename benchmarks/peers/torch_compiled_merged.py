"""torch.compile: each block's trained gates as one matrix."""

from __future__ import annotations

from functools import partial

from benchmarks.peers.torch_compiled import prepare_compiled

prepare = partial(prepare_compiled, merged=True)
