"""Extension points: built in, registered, and offered by installed packages."""

import sys

import pytest

from geochat.errors import SettingsError
from geochat.registry import Registry


@pytest.fixture
def offered(tmp_path, monkeypatch):
    """An installed package that offers one working and one broken member."""
    (tmp_path / "outside_package.py").write_text("def shout(text):\n    return text.upper()\n")
    info = tmp_path / "outside_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outside-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[geochat.test]\nshout = outside_package:shout\nbroken = outside_package:missing\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield Registry("voice", "geochat.test", {"plain": "textwrap:dedent"})
    sys.modules.pop("outside_package", None)


def test_members_come_from_the_project_the_program_and_installed_packages(offered):
    offered.register("whisper", str.lower)

    @offered.register("title")
    def title(text):
        return text.title()

    assert list(offered) == ["broken", "plain", "shout", "title", "whisper"]
    assert offered["shout"]("ship") == "SHIP"
    assert offered["whisper"]("SHIP") == "ship"
    assert offered["title"] is title
    assert offered["plain"]("  ship") == "ship"


def test_names_are_listed_without_importing():
    lazy = Registry("voice", "geochat.none", {"never": "no_such_module:anything"})
    assert "never" in lazy
    assert list(lazy) == ["never"]


def test_an_unknown_name_is_refused_with_the_known_ones(offered):
    with pytest.raises(SettingsError, match=r"no voice is called 'loud'; choose one of broken, plain, shout"):
        offered["loud"]


def test_a_package_that_cannot_be_loaded_is_named(offered):
    with pytest.raises(SettingsError, match=r"'broken' cannot be loaded from outside_package:missing"):
        offered["broken"]
