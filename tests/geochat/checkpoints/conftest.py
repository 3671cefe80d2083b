"""A saved checkpoint to read, and a copy of it to damage."""

import shutil

import pytest

from geochat.checkpoints import save_checkpoint


@pytest.fixture(scope="session")
def saved(checkpoint, tmp_path_factory):
    """The tiny random checkpoint on disk; not to be changed."""
    folder = tmp_path_factory.mktemp("saved") / "tiny"
    save_checkpoint(folder, checkpoint.model, checkpoint.processor, checkpoint.settings)
    return folder


@pytest.fixture
def copy(saved, tmp_path):
    """A copy of the saved checkpoint that a test may damage."""
    return shutil.copytree(saved, tmp_path / "copy")
