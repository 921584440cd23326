"""`orderhub delivery …` on a real store: what each verb shows, and its exit code."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from typer.testing import CliRunner

from cli.main import app

HEAD = "Date,Line item ID,Ad unit,Impressions,Clicks\n"


def write(file: Path, rows: str, written: float = 1_772_000_000) -> Path:
    file.write_bytes(gzip.compress((HEAD + rows).encode()))
    os.utime(file, (written, written))
    return file


def test_a_report_is_loaded_looked_at_restated_and_asked_about(world: Any, tmp_path: Path) -> None:
    drop = tmp_path / "drop"
    drop.mkdir()
    columns = {
        "day": "Date",
        "line": "Line item ID",
        "impressions": "Impressions",
        "clicks": "Clicks",
        "ad_unit": "Ad unit",
    }
    report = {
        "columns": columns,
        "zone": "America/New_York",
        "counted_by": "seller",
        "complete_by": "gzip",
        "closing_days": 2,
        "folder": str(drop),
    }
    config = tmp_path / "orderhub.yaml"
    settings = {
        "store": {"url": world.session.database.url},
        "connections": {"ads": {"connector": "gam", "report": report}, "bare": {"connector": "gam"}},
    }
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")

    def orderhub(*words: str, code: int = 0) -> dict[str, Any]:
        result = CliRunner().invoke(app, ["delivery", *words, "--config", str(config), "--json"])
        assert result.exit_code == code, result.output
        (line,) = [line for line in result.stdout.splitlines() if line.startswith("{")]
        answer = json.loads(line)
        assert isinstance(answer, dict)
        return answer

    first = write(tmp_path / "first.csv.gz", "2026-03-01,11,a,70,1\n2026-03-01,99,a,5,0\n")
    loaded = orderhub("load", str(first), "--source", "ads", "--as-of", "2026-03-02T08:00:00")["reports"][0]
    assert (loaded["state"], loaded["facts_new"], loaded["quarantined"]) == ("loaded", 1, 1)
    again = orderhub("load", str(first), "--source", "ads", "--as-of", "2026-03-02T08:00:00")["reports"][0]
    assert again["state"] == "loaded before"
    (unknown,) = orderhub("quarantine", code=1)["lines"]
    assert (unknown["line_vendor_id"], unknown["impressions"]) == ("99", 5)
    assert orderhub("restatements", "11")["versions"] == []

    write(drop / "second.csv.gz", "2026-03-01,11,a,75,1\n2026-03-01,99,a,5,0\n", 1_772_700_000)  # 5 March 2026
    (drop / "third.csv.gz.part").write_bytes(b"half")
    assert [one["facts_restated"] for one in orderhub("load", "--source", "ads")["reports"]] == [1]
    assert orderhub("load", "--source", "ads")["reports"] == []
    write(drop / "fourth.csv.gz", "2026-03-02,11,a,-1,1\n", 1_772_700_001)
    write(drop / "fifth.csv.gz", "2026-03-03,11,a,30,1\n", 1_772_700_002)
    loaded = orderhub("load", "--source", "ads", code=1)
    assert [one["state"] for one in loaded["reports"]] == ["set aside", "loaded"]
    (waiting,) = orderhub("aside", code=1)["set_aside"]
    assert (waiting["report"], waiting["since"] is not None) == ("fourth.csv.gz", True)
    assert "negative" in waiting["sentence"]
    assert orderhub("load", "--source", "ads", code=1) == {"reports": [], "set_aside": [waiting]}
    shown = CliRunner().invoke(app, ["delivery", "aside", "--config", str(config)], env={"COLUMNS": "300"})
    assert "fourth.csv.gz" in shown.output
    (drop / "fourth.csv.gz").unlink()
    assert orderhub("load", "--source", "ads")["reports"] == []
    assert orderhub("aside")["set_aside"] == []
    versions = orderhub("restatements", "lin_11")["versions"]
    assert [(one["impressions"], one["viewable_impressions"], one["newest"]) for one in versions] == [
        (70, None, False),
        (75, None, True),
    ]
    (day,) = orderhub("final", "2026-03-01", "2026-03-01", "--source", "ads")["days"]
    assert day["how"] == "closed"
    orderhub("final", "2026-03-01", "2026-03-02", "--source", "ads", code=1)

    world.know("ads", "99")
    assert orderhub("claim", "--source", "ads")["claimed"] == 1
    assert orderhub("quarantine")["lines"] == []

    refused = orderhub("load", str(write(tmp_path / "bad.csv.gz", "2026-03-01,11,a,-1,1\n")), "--source", "ads", code=1)
    assert "negative" in refused["sentence"]
    orderhub("load", str(first), "--source", "bare", code=3)
    orderhub("load", str(first), "--source", "nobody", code=4)
    orderhub("load", str(tmp_path / "absent.csv"), "--source", "ads", code=4)
    orderhub("restatements", "nothing", code=4)
    shown = CliRunner().invoke(app, ["delivery", "restatements", "11", "--config", str(config)])
    assert "newest" in shown.output
    assert "old" in shown.output


def test_no_other_verb_pays_for_the_import_of_polars() -> None:
    asked = "import sys, cli.main; sys.exit('polars' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0
