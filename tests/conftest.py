"""Fixtures every test may use."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Machines are shared, so no deadlines; CI tries the same examples each time, people new ones.
settings.register_profile("geochat", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("geochat")


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """The folder of committed fixtures; its README says what they are."""
    return Path(__file__).parent / "fixtures"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference vectors and real imagery beside the checkout; tests that need it skip without it."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("needs the reference material in ../shared, which a clone does not have")
    return folder
