"""Flips and cuts of kept machine code: each is followed by a process that decodes a file with it.

``python -m benchmarks.damaged_cache FILE.quinr`` decodes a file with a fresh cache, then damages one kept
file at a time, decodes again in a process of its own, and prints how many pictures were right.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

_PROGRAM = """
import sys
from pathlib import Path
import numpy as np
from quinr_pl.codec import decompress
np.save(sys.argv[2], decompress(Path(sys.argv[1]).read_bytes()))
"""


def decode(file: Path, cache: Path) -> bytes | None:
    """The decoded values as a ``.npy`` file, or None where the process failed."""
    target = cache / "decoded.npy"
    target.unlink(missing_ok=True)
    command = [sys.executable, "-c", _PROGRAM, str(file), str(target)]
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    done = subprocess.run(command, env=environment, capture_output=True, timeout=120)
    return target.read_bytes() if done.returncode == 0 and target.exists() else None


def damage(data: bytes, chance: random.Random) -> bytes:
    """One to three flipped bits, or an end cut off."""
    if chance.random() < 0.3:
        return data[: chance.randrange(len(data))]
    changed = bytearray(data)
    for _ in range(chance.randint(1, 3)):
        changed[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def main() -> None:
    """Prints a line for each wrong picture, then the count of right ones."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, help="a .quinr file")
    parser.add_argument("--cases", type=int, default=60, help="flips and cuts, over all kept files in turn")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name:
        cache = Path(name)
        expected = decode(options.file, cache)
        kept = sorted(cache.rglob("*.o"))
        if expected is None or not kept:
            raise SystemExit(f"{options.file}: decodes to nothing, or by no kept machine code")
        right = 0
        for case in range(options.cases):
            path = kept[case % len(kept)]
            whole = path.read_bytes()
            path.write_bytes(damage(whole, chance))
            same = decode(options.file, cache) == expected
            right += same
            if not same:
                print(f"case {case}: {path.name} damaged, and the picture is wrong")
            path.write_bytes(whole)
        print(f"{right} right pictures of {options.cases}, by {len(kept)} kept files")


if __name__ == "__main__":
    main()
