"""Imports point one way. The rules are those of docs/design.md."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "geochat": ROOT / "geochat",
    "geochat_serve": ROOT / "serve/geochat_serve",
    "geochat_train": ROOT / "train/geochat_train",
    "geochat_mini": ROOT / "train/geochat_mini",
    "geochat_small": ROOT / "train/geochat_small",
    "geochat_eval": ROOT / "eval/geochat_eval",
    "geochat_data": ROOT / "data/geochat_data",
}
MAY_IMPORT = {
    "geochat": set(),
    "geochat_data": {"geochat"},
    "geochat_train": {"geochat", "geochat_data"},
    "geochat_mini": {"geochat", "geochat_data", "geochat_train", "geochat_eval"},
    "geochat_small": {"geochat", "geochat_data", "geochat_train", "geochat_mini"},
    "geochat_eval": {"geochat", "geochat_data"},
    "geochat_serve": {"geochat"},
}
HEAVY = {"torch", "transformers", "peft", "accelerate", "gradio"}
ROOMS = {  # room of geochat -> rooms it may import
    "errors": set(),
    "files": {"errors"},
    "progress": set(),
    "registry": {"errors"},
    "journal": {"errors"},
    "streamed": set(),
    "geometry": {"errors"},
    "prompts": {"errors"},
    "dialects": {"errors", "registry", "geometry", "prompts"},
    "imagery": {"errors", "registry", "files", "geometry"},
    "models": {"errors", "registry", "files", "geometry", "prompts", "dialects"},
    "exports": {"errors", "registry", "files", "geometry", "dialects", "imagery"},
    "vision": {"errors", "geometry"},
    "checkpoints": {"errors", "files", "geometry", "prompts", "dialects", "models", "vision"},
    "engines": {"errors", "registry", "geometry", "prompts", "dialects", "imagery", "models", "vision", "checkpoints"},
    "clip": {"errors", "registry", "files", "imagery", "models", "vision", "checkpoints"},
    "assistant": {"errors", "geometry", "prompts", "dialects", "imagery", "models", "exports", "engines", "streamed"},
    "find": {
        *("errors", "files", "journal", "geometry", "prompts", "dialects", "imagery", "models", "exports", "engines"),
        "assistant",
    },
    "archive": {
        *("errors", "files", "registry", "journal", "geometry", "imagery", "models", "exports", "engines"),
        *("assistant", "find"),
    },
    "chat": {"errors", "imagery", "engines", "assistant", "find"},
    "client": {"errors", "geometry", "prompts", "imagery", "exports", "engines", "assistant", "streamed"},
    "verification": {"geometry", "prompts", "imagery", "engines", "assistant", "chat"},
}
WITHOUT_TORCH = {
    "errors",
    "files",
    "progress",
    "registry",
    "journal",
    "streamed",
    "geometry",
    "prompts",
    "dialects",
    "imagery",
    "models",
    "exports",
    "assistant",
    "find",
    "archive",
    "chat",
    "client",
    "verification",
}
LIGHT_MODULES = ("geochat", "geochat.assistant", "geochat.engines", "geochat.exports", "geochat.models")


@cache
def imported(file: Path) -> set[str]:
    """Dotted names of every absolute import in `file`, wherever it stands."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_one_way(package):
    others = set(PACKAGES) - MAY_IMPORT[package] - {package}
    for file in PACKAGES[package].rglob("*.py"):
        outward = {name for name in imported(file) if name.split(".")[0] in others}
        assert not outward, f"{file.relative_to(ROOT)} imports {sorted(outward)}"


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_downward(room):
    folder = ROOT / "geochat" / room
    files = list(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]
    assert files
    for file in files:
        rooms = {name.split(".")[1] for name in imported(file) if name.startswith("geochat.")} - {"__version__"}
        assert rooms <= ROOMS[room] | {room}, f"{file.relative_to(ROOT)} imports {sorted(rooms - ROOMS[room] - {room})}"


@pytest.mark.parametrize("room", sorted(WITHOUT_TORCH))
def test_light_rooms_stay_light(room):
    folder = ROOT / "geochat" / room
    for file in folder.rglob("*.py") if folder.is_dir() else [folder.with_suffix(".py")]:
        heavy = {name for name in imported(file) if name.split(".")[0] in HEAVY}
        assert not heavy, f"{file.relative_to(ROOT)} imports {sorted(heavy)}"


def test_every_room_has_its_rules():
    rooms = {
        path.stem for path in (ROOT / "geochat").iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    assert rooms - set(ROOMS) == {"__init__", "__main__", "cli"}


def test_what_users_import_loads_no_torch():
    imports = ["from geochat import GeoChat", *(f"import {module}" for module in LIGHT_MODULES)]
    told = [f"{line}; print({line!r}, sorted({HEAVY!r} & sys.modules.keys()))" for line in imports]
    code = "\n".join(["import sys", *told])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"{line} []" for line in imports]
