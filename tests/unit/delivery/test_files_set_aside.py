"""A folder with a bad file in it: the others are loaded, and the bad one is shown until it is mended, loaded or taken away."""

from __future__ import annotations

import gzip
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hub.delivery.files import load_dropped, load_file
from hub.delivery.questions import files_set_aside

HEAD = "Date,Line item ID,Ad unit,Impressions,Clicks\n"


class Folder:
    """The folder of the source `ads`; every file is a minute newer than the one before."""

    def __init__(self, world: Any, path: Path) -> None:
        self.world, self.path = world, path
        path.mkdir()
        self.declare()

    def declare(self, **more: Any) -> None:
        self.world.declare("ads", folder=self.path, **more)

    def drop(self, name: str, rows: str, *, cut: bool = False) -> Path:
        self.world.clock.time += timedelta(minutes=1)
        packed = gzip.compress((HEAD + rows).encode())
        file = self.path / name
        file.write_bytes(packed[:-6] if cut else packed)
        written = self.world.clock.time.timestamp()
        os.utime(file, (written, written))
        return file

    def load(self) -> list[tuple[str, str]]:
        return [(one.report, one.state) for one in load_dropped(self.world.session, "ads")]

    def aside(self) -> list[tuple[str, str]]:
        return [(one.report, one.code) for one in files_set_aside(self.world.session, "ads")]


@pytest.fixture
def folder(world: Any, tmp_path: Path) -> Folder:
    return Folder(world, tmp_path / "drop")


def test_a_bad_file_is_set_aside_and_newer_ones_do_not_wait_behind_it(folder: Folder) -> None:
    folder.drop("cut.gz", "2026-03-01,11,a,70,1\n", cut=True)
    folder.drop("negative.gz", "2026-03-02,11,a,-1,1\n")
    folder.drop("good.gz", "2026-03-03,11,a,30,1\n")
    assert folder.load() == [("cut.gz", "set aside"), ("negative.gz", "set aside"), ("good.gz", "loaded")]
    assert sorted(folder.aside()) == [("cut.gz", "gzip_cut"), ("negative.gz", "negative")]
    assert folder.world.newest("ads") == {("lin_11", "2026-03-03"): (30, 1)}
    before = folder.world.everything()
    assert folder.load() == []
    assert folder.world.everything() == before
    assert sorted(file.name for file in folder.path.iterdir()) == ["cut.gz", "good.gz", "negative.gz"]


def test_a_corrected_file_of_the_same_name_is_loaded_and_the_bad_one_forgotten(folder: Folder) -> None:
    folder.drop("r.gz", "2026-03-01,11,a,70,1\n", cut=True)
    folder.load()
    folder.drop("r.gz", "2026-03-01,11,a,70,1\n")
    assert folder.load() == [("r.gz", "loaded")]
    assert folder.aside() == []


def test_a_file_that_is_taken_away_is_forgotten(folder: Folder) -> None:
    file = folder.drop("r.gz", "2026-03-01,11,a,70,1\n", cut=True)
    folder.load()
    file.unlink()
    assert folder.load() == []
    assert folder.aside() == []


def test_a_mended_declaration_makes_a_refused_file_new(folder: Folder) -> None:
    folder.declare(delimiter=";")
    folder.drop("r.gz", "2026-03-01,11,a,70,1\n")
    assert folder.load() == [("r.gz", "set aside")]
    folder.declare()
    assert folder.load() == [("r.gz", "loaded")]
    assert folder.aside() == []


def test_a_held_file_that_a_person_loads_is_settled_and_not_tried_again(folder: Folder) -> None:
    folder.drop("usual.gz", "2026-03-01,11,a,20000,1\n2026-03-02,11,a,20000,1\n")
    held = folder.drop("held.gz", "2026-03-03,11,a,9000000,1\n")
    assert folder.load() == [("usual.gz", "loaded"), ("held.gz", "set aside")]
    assert folder.aside() == [("held.gz", "outlier")]
    load_file(folder.world.session, "ads", held, accepted_by="Ada")
    assert folder.aside() == []
    assert folder.load() == []
    assert folder.world.newest("ads")["lin_11", "2026-03-03"] == (9_000_000, 1)


def test_a_file_that_nobody_may_read_does_not_keep_the_others_and_is_loaded_when_it_can_be(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.drop("locked.gz", "2026-03-01,11,a,70,1\n")
    folder.drop("good.gz", "2026-03-03,11,a,30,1\n")
    opened = Path.open

    def refusing(self: Path, *args: Any, **kwargs: Any) -> Any:
        if self.name == "locked.gz":
            raise PermissionError(13, "Permission denied")
        return opened(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refusing)
        assert folder.load() == [("locked.gz", "set aside"), ("good.gz", "loaded")]
        assert folder.load() == []
        assert folder.aside() == [("locked.gz", "unreadable")]
    assert folder.load() == [("locked.gz", "loaded")]
    assert folder.aside() == []
