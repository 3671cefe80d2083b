"""A server that answers as OpenAI's do, and engines connected to it."""

import importlib.util
import sys
from pathlib import Path

import pytest

from geochat.engines.openai import OpenAIEngine

_spec = importlib.util.spec_from_file_location("fake_server", Path(__file__).with_name("fake_server.py"))
fake_server = importlib.util.module_from_spec(_spec)
sys.modules["fake_server"] = fake_server  # pytest imports tests by path, so they have no package
_spec.loader.exec_module(fake_server)


@pytest.fixture
def server():
    fake = fake_server.FakeServer()
    yield fake
    fake.close()


@pytest.fixture
def connect():
    """Engines that are closed at the end."""
    engines = []

    def build(url, *, dialect="geochat", limits=fake_server.LIMITS, **options):
        engines.append(OpenAIEngine.connect(url, dialect=dialect, limits=limits, **options))
        return engines[-1]

    yield build
    for engine in engines:
        engine.close()


@pytest.fixture
def engine(server, connect):
    return connect(server.url)
