"""The pinned set of dependencies belongs to the ranges that pyproject.toml allows."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LINES = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
PINS = {canonicalize_name(line.split("==")[0]): line.split("==")[1] for line in LINES if "==" in line}
EXTRAS = [line for lines in PROJECT["optional-dependencies"].values() for line in lines]
REQUIREMENTS = [Requirement(line) for line in [*PROJECT["dependencies"], *EXTRAS]]


@pytest.mark.parametrize("requirement", [r for r in REQUIREMENTS if r.name != "geochat"], ids=lambda r: r.name)
def test_every_dependency_is_pinned_within_its_range(requirement):
    assert canonicalize_name(requirement.name) in PINS
    assert requirement.specifier.contains(PINS[canonicalize_name(requirement.name)])


def test_every_line_pins_one_version():
    assert all(line.startswith("#") or line.count("==") == 1 for line in LINES)
    assert len(PINS) > len(REQUIREMENTS)
