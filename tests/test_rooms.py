"""Who may import whom: the table of rooms, held against every import in the package."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "srviewer"

TIERS: dict[str, int] = {
    "cli": 6,
    "app": 5,
    "training": 5,
    "session": 4,
    "report": 4,
    "analysis": 3,
    "engine": 2,
    "zoo": 1,
    "networks": 0,
    "imaging": 0,
    "paths": 0,
}
ABOVE_ALL = {
    "__main__": 7,
    "__init__": -1,
}  # the package itself holds the version only, so everybody may read it
QT = ("PySide6", "pyqtgraph", "shiboken6")
TORCH_FREE = [
    "srviewer.paths",
    "srviewer.imaging",
    "srviewer.imaging.files",
    "srviewer.imaging.resize",
    "srviewer.zoo.spec",
    "srviewer.zoo.manifest",
    "srviewer.engine.request",
    "srviewer.engine.tiles",
    "srviewer.session.document",
    "srviewer.session.viewport",
    "srviewer.session.queue",
    "srviewer.cli",
]
QT_FREE = [
    "srviewer.networks",
    "srviewer.imaging.files",
    "srviewer.zoo.model",
    "srviewer.engine.upscale",
    "srviewer.analysis.metrics",
    "srviewer.analysis.complexity",
    "srviewer.report.benchmark",
    "srviewer.report.figures",
    "srviewer.session.document",
    "srviewer.cli",
]


def room_of(file: Path, package: Path = PACKAGE) -> str:
    return file.relative_to(package).parts[0].removesuffix(".py")


def imports_of(tree: ast.AST, module: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Every module that `tree` imports anywhere, by its full name, with the line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = module[: len(module) - node.level] if node.level else ()
            name = ".".join([*base, *(node.module.split(".") if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{name}.{alias.name}"


def violations(package: Path = PACKAGE) -> list[str]:
    found = []
    for file in sorted(package.rglob("*.py")):
        room = room_of(file, package)
        tier = TIERS.get(room, ABOVE_ALL.get(room))
        where = file.relative_to(package.parent)
        if tier is None:
            found.append(f"{where}: the room {room!r} is not ranked")
            continue
        module = (*where.parts[:-1], where.stem)
        for line, name in imports_of(ast.parse(file.read_text("utf-8")), module):
            parts = name.split(".")
            if parts[0] in QT and room != "app":
                found.append(f"{where}:{line}: {parts[0]} outside app")
            if parts[0] != "srviewer" or len(parts) < 2 or parts[1] == "__version__":
                continue
            other = parts[1]
            if other == room:
                continue
            if other not in TIERS:
                found.append(f"{where}:{line}: the room {other!r} is not ranked")
            elif TIERS[other] >= tier:
                found.append(f"{where}:{line}: {room} (tier {tier}) imports {other} (tier {TIERS[other]})")
    return found


def test_imports_go_down_only() -> None:
    assert violations() == []


@pytest.mark.parametrize(
    ("file", "text", "complaint"),
    [
        ("engine/a.py", "def f():\n    from srviewer.session import queue\n", "imports session"),
        (
            "zoo/a.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import srviewer.engine.tiles\n",
            "imports engine",
        ),
        ("networks/a.py", "from ..imaging import resize\n", "imports imaging"),
        ("engine/a.py", "from PySide6 import QtCore\n", "PySide6 outside app"),
        ("gadgets/a.py", "", "not ranked"),
        ("cli/a.py", "from srviewer import gadgets\n", "not ranked"),
    ],
)
def test_the_walk_sees_each_kind_of_trespass(tmp_path: Path, file: str, text: str, complaint: str) -> None:
    package = tmp_path / "srviewer"
    (package / file).parent.mkdir(parents=True)
    (package / file).write_text(text)
    found = violations(package)
    assert len(found) == 1
    assert complaint in found[0]


def run_blocked(blocked: tuple[str, ...], modules: list[str]) -> subprocess.CompletedProcess[str]:
    code = (
        "import sys\n"
        f"for name in {blocked!r}: sys.modules[name] = None\n"
        "import importlib\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_all_but_the_app_works_without_qt() -> None:
    done = run_blocked(QT, QT_FREE)
    assert done.returncode == 0, done.stderr


def test_torch_is_late() -> None:
    done = run_blocked(("torch",), TORCH_FREE)
    assert done.returncode == 0, done.stderr
