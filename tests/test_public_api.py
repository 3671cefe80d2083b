import subprocess
import sys

import pytest

import geochat


def test_exported_names():
    assert geochat.__all__ == [
        "Answer",
        "Client",
        "Conversation",
        "GeoChat",
        "GeoChatError",
        "OrientedBox",
        "Question",
        "Region",
        "Scene",
        "Task",
    ]
    for name in geochat.__all__:
        assert getattr(geochat, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="Chatty"):
        _ = geochat.Chatty


def test_importing_geochat_imports_nothing_heavy():
    code = "import sys, geochat; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "transformers", "numpy", "rasterio", "shapely", "gradio", "PIL"} & set(loaded)
