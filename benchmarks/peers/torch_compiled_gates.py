"""torch.compile: gate by gate."""

from __future__ import annotations

from functools import partial

from benchmarks.peers.torch_compiled import prepare_compiled

prepare = partial(prepare_compiled, merged=False)
