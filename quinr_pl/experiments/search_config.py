"""What `quinr-pl search` searches: a base, a space of changes to it, and what a file may take."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from quinr_pl.codec.rate_control import FEWEST_BYTES, rounding_for_bytes
from quinr_pl.codec.rounding import as_options
from quinr_pl.configs.find import find_config, read_tree
from quinr_pl.errors import QuinrError
from quinr_pl.experiments.config_keys import MAPPING, SEED, SWITCH, TEXT, Kind, known_keys, whole
from quinr_pl.experiments.fit_configs import file_making_callbacks, merge_fits, network_of, read_fit_config
from quinr_pl.experiments.trees import Tree, merge


@dataclass(frozen=True)
class Range:
    """Numbers that a setting may take.

    Args:
        low: Smallest; two integers make a range of integers.
        high: Largest value to propose.
        log: Whether ratios matter rather than differences.
        step: Distance between candidates; any number when left out, any integer for integers.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None

    def suggest(self, trial: Any, name: str) -> float:
        """A value for a trial."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return int(trial.suggest_int(name, self.low, self.high, step=int(self.step or 1), log=self.log))
        return float(trial.suggest_float(name, self.low, self.high, step=self.step, log=self.log))


@dataclass(frozen=True)
class Choices:
    """Values that a setting may take."""

    choices: tuple[Any, ...]

    def suggest(self, trial: Any, name: str) -> Any:
        """A value for a trial."""
        return trial.suggest_categorical(name, list(self.choices))


_FRONT_KEYS: Mapping[str, Kind] = {"population": whole(2), "inherit": SWITCH, "anchors": MAPPING}


@dataclass(frozen=True)
class FrontSettings:
    """How a search for the best PSNR at every size goes on, by NSGA-II.

    Args:
        population: Whole trials of a generation; the first one is drawn at random.
        inherit: Whether later trials begin with the weights of a parent, where shapes are equal.
        anchors: Methods that the front is drawn beside, described as those of a comparison.
    """

    population: int = 8
    inherit: bool = True
    anchors: Tree = field(default_factory=dict)


SEARCH_KEYS: Mapping[str, Kind] = {
    "folder": TEXT,
    "base": TEXT,
    "space": MAPPING,
    "fit": MAPPING,
    "short": MAPPING,
    "bytes": whole(FEWEST_BYTES),
    "front": MAPPING,
    "trials": whole(1),
    "workers": whole(1),
    "seed": SEED,
    "startup": whole(0),
}
"""What a config holds."""


@dataclass(frozen=True)
class Search:
    """A config of `quinr-pl search`.

    Args:
        folder: Where the study, the trials' folders and the best config lie.
        base: A config of `quinr-pl fit` to start from.
        space: Dotted path in it, such as ``model.learning_rate`` -> ``{low, high, log, step}`` or
            ``{choices}``.
        fit: Changes to the base: what trials and the configs that come out of them share.
        short: Further changes that trials alone have, such as fewer steps.
        bytes: What a file may take: the quantizer aims at it. null for networks that train against their
            rate, whose error and weighed rate are then what counts, and for a front.
        front: For the best PSNR at every size, in place of the best at one.
        trials: How many, pruned ones included.
        workers: Trials at a time, of one thread each.
        seed: Of the sampler.
        startup: Whole trials before one is pruned; but for a front, drawn at random.
    """

    folder: str
    base: str
    space: Mapping[str, Range | Choices]
    fit: Tree = field(default_factory=dict)
    short: Tree = field(default_factory=dict)
    bytes: int | None = None
    front: FrontSettings | None = None
    trials: int = 50
    workers: int = 2
    seed: int = 0
    startup: int = 8

    @classmethod
    def read(cls, text: str, name: str) -> Search:
        """The config of a YAML text.

        Raises:
            QuinrError: If a key is unknown, missing or of another kind, or a range is none.
        """
        tree = known_keys(read_tree(text, name), name, SEARCH_KEYS, ("folder", "base", "space"))
        space = {path: _candidates(tree["space"][path], f"{name}: space {path}") for path in tree["space"]}
        if "front" in tree:
            tree["front"] = FrontSettings(**known_keys(tree["front"], f"{name}: front", _FRONT_KEYS))
        return cls(**{**tree, "space": space})

    def check(self) -> None:
        """Looks for the base.

        Raises:
            QuinrError: If there is none, or a front is to have a number of bytes.
        """
        if self.front is not None and self.bytes is not None:
            raise QuinrError(f"--bytes {self.bytes}: a front has files of all sizes; leave it out")
        find_config(self.base)

    def searched(self) -> dict[str, Any]:
        """What a search that goes on has as before, of JSON's types."""
        kept = asdict(self)
        if self.front is not None:
            del kept["front"]["anchors"]  # which are drawn, and no more
        searched = {key: kept[key] for key in ("fit", "short", "space", "bytes", "front")}
        return json.loads(json.dumps(searched))

    def full(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The config of `quinr-pl fit` with values of the space: the base's steps and callbacks."""
        return self._aimed(self._with(values))

    def trial(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The config of a trial with values of the space: short, and without callbacks that only show."""
        tree = self._with(values, self.short)
        return self._aimed(merge(tree, {"trainer": {"callbacks": file_making_callbacks(tree)}}))

    def _with(self, values: Mapping[str, Any], *changes: Tree) -> dict[str, Any]:
        """The base with the changes that all have, further ones, and values of the space over them."""
        tree = read_fit_config(find_config(self.base))
        for change in (self.fit, *changes, _nested(values)):
            tree = merge_fits(tree, change)
        return tree

    def _aimed(self, tree: Tree) -> dict[str, Any]:
        """A config of a fit whose quantizer aims at the bytes, where there are any."""
        if self.bytes is None:
            return dict(tree)
        rounding = rounding_for_bytes(self.bytes, network_of(tree).parameter_count())
        return merge(tree, {"quantization": as_options(rounding)})


def _candidates(description: Any, where: str) -> Range | Choices:
    try:
        if "choices" in description:
            (choices,) = description.values()
            candidates: Range | Choices = Choices(tuple(choices))
            valid = len(choices) > 0
        else:
            candidates = Range(**description)
            valid = candidates.low <= candidates.high and (candidates.low > 0 or not candidates.log)
    except (TypeError, ValueError) as error:
        valid, reason = False, f" ({error})"
    else:
        reason = ""
    if not valid:
        raise QuinrError(f"{where}: {description}; give {{low, high, log, step}} or {{choices}}{reason}")
    return candidates


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """{"a.b": 1} as {"a": {"b": 1}}."""
    tree: dict[str, Any] = {}
    for path, value in values.items():
        *parents, last = path.split(".")
        node = tree
        for part in parents:
            node = node.setdefault(part, {})
        node[last] = value
    return tree
