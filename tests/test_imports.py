"""Who may import whom, held over the syntax tree."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = {"datamodules", "callbacks", "configs"}
BASE = {"signal", "errors", "atomic_file", "file_lock", "openjpeg", "user_cache", "_version"}
COMMANDS = {
    "cli",
    "commands",
    "lightning_cli",
    "compare_cli",
    "comparison",
    "search",
    "interruption",
    "config_files",
    "fit_settings",
    "refusals",
    "runs",
    "spelling",
}
"""The composition root: may know everything."""

ALLOWED = {
    "signal": {"errors"},
    "atomic_file": {"errors", "file_lock"},
    "file_lock": {"errors"},
    "user_cache": {"errors"},
    "openjpeg": {"errors"},
    "errors": set(),
    "_version": set(),
    "native": {"errors", "atomic_file", "user_cache"},
    "circuit": BASE | {"native"},
    "network": BASE | {"circuit", "native"},
    "checkpoint_io": {"atomic_file"},
    "module": BASE | {"network", "checkpoint_io"},
    "codec": BASE | {"network", "circuit"},
    "baselines": BASE | {"network"},
    "evaluation": BASE | {"codec", "baselines", "network", "circuit"},
    "datamodules": BASE,
    "callbacks": BASE | {"codec", "evaluation", "network", "circuit", "datamodules"},
    "configs": set(),
}


def part_of(path: Path) -> str:
    relative = path.relative_to(ROOT)
    return relative.parts[0] if relative.parts[0] in FOLDERS else relative.with_suffix("").parts[1]


def sources() -> list[Path]:
    return [
        path
        for folder in ("quinr_pl", *sorted(FOLDERS))
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path != ROOT / "quinr_pl" / "__init__.py"
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
    if part in COMMANDS:
        return
    upward = imported(path) - ALLOWED[part] - {part}
    assert not upward, f"{path.relative_to(ROOT)} imports {sorted(upward)}"


def test_the_codec_and_what_it_stands_on_do_without_lightning():
    for path in sources():
        if part_of(path) in {"codec", "network", "circuit", "signal", "evaluation", "baselines"}:
            assert "pytorch_lightning" not in path.read_text(), path
