"""A checkpoint's dialect is read from its small files, and nothing else of it."""

import json
import subprocess
import sys

import pytest

from geochat.dialects import GEOCHAT
from geochat.errors import CheckpointError
from geochat.geometry import AngleConvention
from geochat.models import Settings, bundled_path, read_settings, write_settings
from geochat.models.reading import read_dialect

OTHER = Settings("other", convention=AngleConvention("counterclockwise", "[0,90)"), fit="crop")


@pytest.fixture
def folder(tmp_path):
    """Writes a folder with these files: settings, and JSON by name."""

    def write(name, settings=None, **files):
        made = tmp_path / name
        made.mkdir()
        if settings is not None:
            write_settings(settings, made)
        for stem, content in files.items():
            (made / f"{stem}.json").write_text(json.dumps(content))
        return made

    return write


@pytest.mark.parametrize("name", ["mini", "geochat-mini", bundled_path()])
def test_the_bundled_model_has_a_name(name):
    settings = read_settings(bundled_path())
    assert read_dialect(name) == settings.dialect_for(288)


def test_settings_and_size_are_the_folders_own(folder):
    native = folder("native", OTHER, config={"vision_config": {"image_size": 336}})
    assert read_dialect(native) == OTHER.dialect_for(336)
    assert read_dialect(str(native)).model_frame.size == 336


def test_the_originals_layout_sees_504_pixels(folder):
    published = folder("published", config={"mm_vision_tower": "clip", "hidden_size": 8})
    assert read_dialect(published) == GEOCHAT.fitted(size=504)


def test_an_adapter_takes_what_it_lacks_from_its_base(folder):
    base = folder("base", OTHER, config={"vision_config": {"image_size": 224}})
    beside = folder("beside", adapter_config={"base_model_name_or_path": "base"})
    assert read_dialect(beside) == OTHER.dialect_for(224)
    own = folder("own", Settings("own", fit="crop"), adapter_config={"base_model_name_or_path": str(base)})
    assert read_dialect(own) == Settings(fit="crop").dialect_for(224)
    far = folder("far", Settings("far", fit="crop"), adapter_config={"base_model_name_or_path": "hub/model"})
    assert read_dialect(far, base=base) == Settings(fit="crop").dialect_for(224)
    with pytest.raises(CheckpointError, match=r"says of which size.*base"):
        read_dialect(far)
    mini = folder("of-mini", adapter_config={"base_model_name_or_path": "geochat-mini"})
    assert read_dialect(mini) == read_dialect("mini")


def test_the_size_is_needed_only_where_images_are_cropped(folder):
    assert read_dialect(folder("padding", Settings("padding"))) == GEOCHAT
    with pytest.raises(CheckpointError, match=r"config\.json says of which size"):
        read_dialect(folder("cropping", OTHER))


@pytest.mark.parametrize("content", ["{", "[1]"])
def test_a_damaged_file_is_named(folder, content):
    broken = folder("broken", OTHER)
    (broken / "config.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"config\.json"):
        read_dialect(broken)


def test_hub_ids_are_not_resolved():
    with pytest.raises(CheckpointError, match="give a folder"):
        read_dialect("owner/name")


def test_torch_is_not_loaded():
    code = "import sys, geochat.models.reading as r; r.read_dialect('mini'); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
