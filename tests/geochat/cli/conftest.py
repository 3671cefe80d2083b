import pytest

from geochat.cli import options


@pytest.fixture(autouse=True)
def _own_process_state(monkeypatch):
    """What a command line sets for its whole process must not outlive a test."""
    monkeypatch.setattr("geochat.cli.process.quiet_libraries", lambda debug: None)


@pytest.fixture
def answering(monkeypatch, chat_with):
    """`answering("text")` makes the command line's model say that; returns its engine."""

    def patch(*answers):
        chat = chat_with(*answers)
        monkeypatch.setattr(options, "load_model", lambda _args: chat)
        return chat.engine

    return patch
