"""Settings and the auth file say what is wrong with them."""

import pytest

from geochat.errors import SettingsError
from geochat_serve import ServeSettings
from geochat_serve.settings import read_auth_file


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"port": 70_000}, "port=70000"),
        ({"concurrency": 0}, "concurrency=0"),
        ({"max_upload_mb": 0}, "max_upload_mb=0"),
        ({"max_upload_mb": 100, "max_disk_mb": 50}, "max_disk_mb=50"),
        ({"root_path": "geochat"}, "root_path='geochat'"),
    ],
)
def test_impossible_settings(values, message):
    with pytest.raises(SettingsError, match=message):
        ServeSettings(**values)


def test_only_this_machine_by_default():
    settings = ServeSettings()
    assert (settings.host, settings.port, settings.share) == ("127.0.0.1", 7860, False)


def test_names_and_passwords(tmp_path):
    file = tmp_path / "users"
    file.write_text("# people\nada:pass:word\n\ngrace:hopper\n")
    check = read_auth_file(file)
    assert check("ada", "pass:word")
    assert check("grace", "hopper")
    for name, password in (("ada", "hopper"), ("ada", ""), ("nobody", ""), ("", ""), ("nobody", "\0")):
        assert not check(name, password)


@pytest.mark.parametrize(("text", "message"), [("", "has no users"), ("ada\n", "line 1"), ("a:b\n:c\n", "line 2")])
def test_a_wrong_auth_file(tmp_path, text, message):
    file = tmp_path / "users"
    file.write_text(text)
    with pytest.raises(SettingsError, match=message):
        read_auth_file(file)


def test_a_missing_auth_file(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read"):
        read_auth_file(tmp_path / "none")
