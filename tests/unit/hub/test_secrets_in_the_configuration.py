"""Secrets come by reference; where one is not there, or the file around it cannot be read, nobody is shown one."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub import config
from hub.errors import ConfigurationError
from hub.secrets import SecretMissing, resolve

SECRET = "Aspen7Lake"


def test_a_reference_to_what_is_not_there_or_empty_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ORDERS_KEY", raising=False)
    with pytest.raises(SecretMissing, match="ORDERS_KEY is not set"):
        resolve("env:ORDERS_KEY")
    monkeypatch.setenv("ORDERS_KEY", " ")
    with pytest.raises(SecretMissing, match="ORDERS_KEY is empty"):
        resolve("env:ORDERS_KEY")
    file = tmp_path / "key"
    with pytest.raises(SecretMissing, match="cannot be read"):
        resolve(f"file:{file}")
    file.write_text("\n", encoding="utf-8")
    with pytest.raises(SecretMissing, match="key is empty"):
        resolve(f"file:{file}")
    file.write_text(f"{SECRET}\n", encoding="utf-8")
    assert resolve(f"file:{file}") == SECRET


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('store: {{url: "postgresql://u:{}@h/x"\n bad: [', "line 2, column 2"),
        ("store: {{url: *{}}}", "line 1, column 14: found undefined alias"),
        ("store: {{url: !{} x}}", "line 1, column 14: could not determine a constructor for the tag"),
        ("store: {{url: '{}}}", "line 1"),
        ("store: {}\n  url: x", "line 2"),
        ("store: {}\x00", "position 17"),
    ],
)
def test_a_file_that_is_no_yaml_is_told_by_its_place_without_quoting_it(text: str, where: str, tmp_path: Path) -> None:
    file = tmp_path / "orderhub.yaml"
    file.write_text(text.format(SECRET), encoding="utf-8")
    with pytest.raises(ConfigurationError) as told:
        config.load(file)
    assert where in str(told.value)
    assert SECRET not in str(told.value)


def test_a_file_in_another_encoding_is_told(tmp_path: Path) -> None:
    file = tmp_path / "orderhub.yaml"
    file.write_bytes(b"store: {url: x}  # caf\xe9")
    with pytest.raises(ConfigurationError, match=r"can't decode byte 0xe9 in position 22"):
        config.load(file)
