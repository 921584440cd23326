"""Connections that cannot be used with what is configured are named, each with its sentence; the others are not."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from hub import open_hub

SALESFORCE = {"domain": "acme.my", "consumer_key": "k", "consumer_secret": "s"}


def test_wrong_settings_absent_secrets_and_broken_mappings_are_told_apart_from_what_works(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOT_THERE", raising=False)
    mapping = tmp_path / "line.v1.yaml"
    mapping.write_text("mapping: salesforce.line@1\nrecord: Nonsense\n", encoding="utf-8")
    connections = {
        "good": {"connector": "salesforce", "settings": SALESFORCE},
        "misspelt": {"connector": "salesforce", "nonsense": 1},
        "unset": {"connector": "salesforce", "settings": {**SALESFORCE, "domain": "https://acme"}},
        "secretless": {"connector": "salesforce", "settings": {**SALESFORCE, "consumer_secret": "env:NOT_THERE"}},
        "unmapped": {"connector": "salesforce", "settings": SALESFORCE, "mapping": str(mapping)},
        "stranger": {"connector": "nobody", "settings": {}},
    }
    path = tmp_path / "orderhub.yaml"
    path.write_text(yaml.safe_dump({"store": {"url": database_url}, "connections": connections}), encoding="utf-8")
    with open_hub(path) as hub:
        hub.migrate()
        unusable = hub.unusable()
    assert set(unusable) == set(connections) - {"good"}
    assert "NOT_THERE" in unusable["secretless"]
    assert "nonsense" in unusable["misspelt"]
    for sentence in unusable.values():
        assert sentence.count(".") >= 2, sentence
