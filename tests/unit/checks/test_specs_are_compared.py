"""A comparison with the vendors' files that is skipped although they are there fails; elsewhere it is told as not run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[2] / "conftest.py"
CHECKS = """
import pytest

@pytest.fixture
def vendor():
    pytest.skip("absent: the file under ORDERHUB_SPECS")

@pytest.mark.specs
def test_in_a_fixture(vendor): ...

@pytest.mark.specs
@pytest.mark.skipif(True, reason="absent: the file under ORDERHUB_SPECS")
def test_by_its_mark(): ...

@pytest.mark.data
def test_of_the_order_book(vendor): ...

def test_of_another_kind(vendor): ...
"""


@pytest.mark.parametrize(
    ("there", "required", "said"),
    [
        (True, "", "2 skipped, 2 errors"),
        (False, "", "4 skipped"),
        (False, "1", "1 skipped, 3 errors"),
        (True, "1", "1 skipped, 3 errors"),
    ],
)
def test_a_skipped_comparison_fails_where_the_files_are_or_are_required(
    tmp_path: Path, there: bool, required: str, said: str
) -> None:
    folder = tmp_path / "specs"
    if there:
        folder.mkdir()
    shutil.copy(CONFTEST, tmp_path / "conftest.py")
    (tmp_path / "test_planted.py").write_text(CHECKS, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n  specs: x\n  data: x\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        env={
            **os.environ,
            "ORDERHUB_SPECS": str(folder),
            "ORDERHUB_DATA": str(tmp_path / "data"),
            "ORDERHUB_REQUIRE_DATA": required,
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said in done.stdout.splitlines()[-1], done.stdout + done.stderr
    fails = there or bool(required)
    assert done.returncode == (1 if fails else 0)
    assert ("did not run although" in done.stdout) is fails
