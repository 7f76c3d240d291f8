"""Who may import whom, held over the syntax tree."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = {"datamodules", "callbacks", "configs"}
GROUND = {
    "signals",
    "errors",
    "fields",
    "atomic_file",
    "file_lock",
    "openjpeg",
    "user_cache",
    "registry",
    "_version",
    "spelling",
    "class_paths",
    "versions",
    "refusals",
}
BELOW_NETWORKS = GROUND | {"native", "circuit", "ops"}
BELOW_CALLBACKS = BELOW_NETWORKS | {"network", "codec", "baselines", "evaluation"}
BELOW_EXPERIMENTS = BELOW_CALLBACKS | {"callbacks", "datamodules", "configs", "module", "fitting"}

ALLOWED = {
    "errors": set(),
    "fields": {"errors"},
    "_version": set(),
    "file_lock": {"errors"},
    "user_cache": {"errors"},
    "openjpeg": {"errors"},
    "registry": {"errors"},
    "spelling": set(),
    "versions": {"_version"},
    "refusals": {"errors"},
    "class_paths": {"errors", "spelling"},
    "signals": {"errors", "registry"},
    "atomic_file": {"errors", "file_lock"},
    "checkpoint_io": {"atomic_file"},
    "configs": {"errors"},
    "native": {"errors", "atomic_file", "user_cache"},
    "circuit": GROUND | {"native"},
    "ops": GROUND | {"native"},
    "network": BELOW_NETWORKS,
    "module": GROUND | {"network", "checkpoint_io"},
    "codec": BELOW_NETWORKS | {"network"},
    "baselines": GROUND | {"network"},
    "evaluation": BELOW_CALLBACKS,
    "datamodules": GROUND,
    "callbacks": BELOW_CALLBACKS | {"datamodules"},
    "fitting": BELOW_CALLBACKS | {"callbacks", "datamodules", "configs", "module"},
    "experiments": BELOW_EXPERIMENTS,
    "commands": BELOW_EXPERIMENTS | {"experiments"},
    "arrays": BELOW_EXPERIMENTS | {"commands"},
}


def part_of(path: Path) -> str:
    relative = path.relative_to(ROOT)
    return relative.parts[0] if relative.parts[0] in FOLDERS else relative.with_suffix("").parts[1]


def sources() -> list[Path]:
    return [
        path
        for folder in ("quinr_pl", *sorted(FOLDERS))
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path.parent != ROOT / "quinr_pl" or path.stem not in ("__init__", "__main__")
    ]


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            names |= {f"{module}.{alias.name}" for alias in node.names} if module == "quinr_pl" else {module}
    return {name.split(".")[1] for name in names if name.startswith("quinr_pl.")}


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_folder_imports_upward(path):
    part = part_of(path)
    upward = imported(path) - ALLOWED[part] - {part}
    assert not upward, f"{path.relative_to(ROOT)} imports {sorted(upward)}"


def test_the_codec_and_what_it_stands_on_do_without_lightning():
    for path in sources():
        if part_of(path) in BELOW_CALLBACKS:
            assert "pytorch_lightning" not in path.read_text(), path


def test_one_file_knows_the_instructions_of_llvm():
    knowing = {str(path.relative_to(ROOT)) for path in sources() if "llvmlite import ir" in path.read_text()}
    assert knowing == {"quinr_pl/native/llvm.py"}
    compiling = {str(path.relative_to(ROOT)) for path in sources() if "import llvmlite" in path.read_text()}
    assert compiling == {"quinr_pl/native/machine_code.py"}
