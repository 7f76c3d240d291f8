"""Who may import whom, held over the syntax tree."""

from __future__ import annotations

import ast
import re
from graphlib import TopologicalSorter
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
    "import_away",
    "openjpeg",
    "user_cache",
    "registry",
    "_version",
    "spelling",
    "class_paths",
    "versions",
    "refusals",
    "lazy_names",
    "suffixes",
    "optional_package",
    "fit_status",
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
    "lazy_names": set(),
    "suffixes": set(),
    "optional_package": {"errors"},
    "fit_status": set(),
    "import_away": set(),
    "versions": {"_version"},
    "refusals": {"errors"},
    "class_paths": {"errors", "spelling"},
    "signals": {"errors", "fields", "registry", "atomic_file", "suffixes", "optional_package", "import_away"},
    "atomic_file": {"errors", "file_lock", "suffixes"},
    "checkpoint_io": {"atomic_file"},
    "configs": {"errors"},
    "native": {"errors", "atomic_file", "user_cache"},
    "circuit": GROUND | {"native"},
    "ops": GROUND | {"native"},
    "network": BELOW_NETWORKS,
    "training": GROUND | {"network", "ops"},
    "module": GROUND | {"network", "checkpoint_io", "training"},
    "codec": BELOW_NETWORKS | {"network"},
    "baselines": GROUND | {"network"},
    "evaluation": BELOW_CALLBACKS,
    "datamodules": GROUND,
    "callbacks": BELOW_CALLBACKS | {"datamodules"},
    "fitting": BELOW_CALLBACKS | {"callbacks", "datamodules", "configs", "module"},
    "experiments": BELOW_EXPERIMENTS,
    "commands": BELOW_EXPERIMENTS | {"experiments"},
    "pillow": GROUND | {"codec", "arrays"},
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


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts if parts[0] == "quinr_pl" else ("quinr_pl", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def names_in(path: Path) -> set[str]:
    """What a file imports, or loads by an entry of a table, as ``module`` or ``module.attribute``."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names |= (
                {node.value.replace(":", ".")} if re.fullmatch(r"quinr_pl[\w.]*:\w+", node.value) else set()
            )
    return names


def test_no_file_imports_itself_by_way_of_others():
    """Inside functions neither; and what a table loads by name knows nothing of the table."""
    files = {module_name(path): path for path in sources()}
    graph: dict[str, set[str]] = {}
    for module, path in files.items():
        found = {name if name in files else name.rpartition(".")[0] for name in names_in(path)}
        graph[module] = found & files.keys() - {module}
    list(TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle


def test_the_codec_and_what_it_stands_on_do_without_lightning():
    for path in sources():
        if part_of(path) in BELOW_CALLBACKS:
            assert "pytorch_lightning" not in path.read_text(), path


def test_one_file_knows_the_instructions_of_llvm():
    knowing = {str(path.relative_to(ROOT)) for path in sources() if "llvmlite import ir" in path.read_text()}
    assert knowing == {"quinr_pl/native/llvm.py"}
    compiling = {str(path.relative_to(ROOT)) for path in sources() if "import llvmlite" in path.read_text()}
    assert compiling == {"quinr_pl/native/machine_code.py"}
