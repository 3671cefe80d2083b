"""What is wrong with a checkpoint, from its names and small files."""

import json

import pytest

from geochat.errors import CheckpointError
from geochat.models import bundled_names, bundled_path, find_bundled, read_settings
from geochat.models.finding import check_adapter, check_checkpoint, check_destination, find_local


@pytest.fixture
def folders(tmp_path):
    """`folders(name={file: values})` writes JSON files into folders, and gives where they lie."""

    def write(**contents):
        for name, files in contents.items():
            (tmp_path / name).mkdir()
            for file, values in files.items():
                text = values if isinstance(values, str) else json.dumps(values)
                (tmp_path / name / file).write_text(text)
        return tmp_path

    return write


NATIVE = {"config.json": {"vision_config": {}}}
PLAIN = {"config.json": {"model_type": "llama"}}
ORIGINAL = {"config.json": {"mm_vision_tower": "clip"}}


def adapter(base):
    return {"adapter_config.json": {"base_model_name_or_path": base}}


def test_the_bundled_model_and_hub_ids_are_fine():
    check_checkpoint(None)
    check_checkpoint(bundled_path())
    check_checkpoint("owner/name")
    assert find_local("owner/name") is None


def test_what_is_there_is_fine(folders):
    here = folders(
        native=NATIVE,
        original=ORIGINAL,
        llama=PLAIN,
        lora=adapter("native"),
        mini=adapter(read_settings(bundled_path()).name),
        far=adapter("owner/name"),
        first={**adapter("llama"), **ORIGINAL},  # the original's adapters bring the config
        unnamed=adapter(None),
    )
    for name in ("native", "original", "lora", "mini", "far", "first"):
        check_checkpoint(here / name)
    check_checkpoint(here / "unnamed", base=here / "native")
    check_adapter(here / "lora")
    assert find_local("native", beside=here / "lora") == here / "native"


@pytest.mark.parametrize(
    ("name", "base", "message"),
    [
        ("gone", None, "no checkpoint directory"),
        ("empty", None, "empty holds no config.json"),
        ("llama", None, "a 'llama' model without a vision tower"),
        ("broken", None, "config.json is not valid JSON"),
        ("listed", None, "config.json holds a list"),
        ("native", "native", "is not an adapter and takes no base"),
        ("lost", None, "adapts './nowhere', which is not found"),
        ("unnamed", None, "is an adapter and names no base"),
        ("lora", "gone", "no checkpoint directory"),
        ("lora", "llama", "a 'llama' model without a vision tower"),
        ("strange", None, "unknown settings"),
    ],
)
def test_what_is_not_is_named(folders, name, base, message):
    here = folders(
        empty={},
        llama=PLAIN,
        native=NATIVE,
        broken={"config.json": "{"},
        listed={"config.json": []},
        lora=adapter("native"),
        lost=adapter("./nowhere"),
        unnamed=adapter(""),
        strange={**NATIVE, "geochat.json": {"colour": "green"}},
    )
    with pytest.raises(CheckpointError, match=message):
        check_checkpoint(here / name, base=None if base is None else here / base)


def test_what_is_no_adapter_is_not_merged(folders):
    here = folders(native=NATIVE)
    with pytest.raises(CheckpointError, match="is no adapter"):
        check_adapter(here / "native")


def test_a_destination_is_new_or_empty(folders):
    here = folders(native=NATIVE, empty={})
    check_destination(here / "new")
    check_destination(here / "empty")
    with pytest.raises(CheckpointError, match="exists already"):
        check_destination(here / "native")
    with pytest.raises(CheckpointError, match="exists already"):
        check_destination(here / "native" / "config.json")


@pytest.mark.parametrize("name", bundled_names())
def test_a_bundled_model_is_found_by_its_names(name, folders, monkeypatch):
    short = name.removeprefix("geochat-")
    assert find_bundled(name) == find_bundled(short) == find_local(short) == bundled_path(short)
    assert read_settings(bundled_path(short)).name == name
    check_checkpoint(name)
    here = folders(**{short: NATIVE})
    monkeypatch.chdir(here)
    assert find_local(short).resolve() == here / short  # a directory of one's own goes first


@pytest.mark.parametrize("name", ["geochat-", "", "medium", "geochat-geochat-mini", bundled_path()])
def test_other_names_are_no_bundled_model(name):
    assert find_bundled(name) is None
