"""An existing customer of the ERP is billed under the code that Finance gave; a file that cannot be trusted posts nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

import hub
from cli.main import app
from hub.errors import Refused

if TYPE_CHECKING:
    from conftest import Office


@pytest.fixture
def codes(office: Office, tmp_path: Path) -> Any:
    """Writes the file of the ERP's connection."""
    path = tmp_path / "customers.csv"

    def write(text: str) -> None:
        path.write_text(text, encoding="utf-8")
        channel = office.hub.session.channel("erp")
        channel.settings = channel.settings.model_copy(update={"customer_codes": path})

    return write


def sent_to(office: Office) -> list[str]:
    return [one["party"]["code"] for one in office.erp.creates]


@pytest.mark.parametrize("which", ["here", "source"])
def test_a_payer_is_billed_under_the_code_that_finance_gave(office: Office, codes: Any, which: str) -> None:
    known = office.party if which == "here" else office.party[-12:]
    codes(f"\ufeffparty,name,code\n{known},Acme Inc, C-1001 \nnobody,,C-9\n,,\n{known},Acme again,C-1001\n")
    office.delivered(office.line(office.order()), 500_000)
    assert office.close().complete
    assert sent_to(office) == ["C-1001"]


def test_a_payer_without_a_code_is_a_customer_of_its_own(office: Office, codes: Any) -> None:
    codes("party,code\npty_other,C-1\n")
    office.delivered(office.line(office.order()), 500_000)
    assert office.close().complete
    assert sent_to(office) == [office.party]


def test_a_credit_memo_goes_to_the_customer_of_its_invoice(office: Office, codes: Any) -> None:
    line = office.line(office.order())
    office.delivered(line, 500_000)
    office.close()
    codes(f"party,code\n{office.party},C-1001\n")
    office.report({line: {"10": 400_000}, office.line(office.order("Later")): {"10": 1_000}})
    assert office.close().complete
    kinds = [(one["kind"], one["party"]["code"]) for one in office.erp.creates]
    assert sorted(kinds[1:]) == [("credit_memo", office.party), ("invoice", "C-1001")]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("payer,code\nx,C-1\n", "it has no columns `party` and `code`"),
        ("", "it has no columns"),
        ("party,code\nx,C-1\nx,C-2\n", "line 3 gives x the code C-2, and another line C-1"),
        ('party,code\nx,"C-1\n', "unexpected end of data"),
        (f"party,code\nx,{'C' * 121}\n", "longer than 120"),
        ("party,code\nx,C\x001\n", "not printable"),
    ],
)
def test_a_file_that_contradicts_itself_posts_nothing(office: Office, codes: Any, text: str, why: str) -> None:
    codes(text)
    office.delivered(office.line(office.order()), 500_000)
    with pytest.raises(Refused, match=why):
        office.close()
    assert office.erp.creates == []
    codes(f"party,code\n{office.party},C-1\n")
    assert office.close().complete
    assert sent_to(office) == ["C-1"]


def test_an_absent_file_posts_nothing(office: Office, codes: Any) -> None:
    codes("")
    office.hub.session.channel("erp").settings.customer_codes.unlink()
    office.delivered(office.line(office.order()), 500_000)
    with pytest.raises(Refused, match="No such file"):
        office.close()
    assert office.erp.creates == []


def test_who_pays_is_listed_with_the_codes_that_are_missing(
    office: Office, codes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.order("A")
    office.order("B")
    monkeypatch.setattr(hub, "open_hub", lambda _: office.hub)
    codes("party,code\nwrong,C-1\n")
    shown = CliRunner().invoke(app, ["bill", "customers"], env={"COLUMNS": "250"})
    assert shown.exit_code == 1
    assert "1 pay, 1 of them without a customer code of erp." in shown.output
    assert "Nobody who pays is wrong." in shown.output
    codes(f"party,code\n{office.party},C-1001\n")
    told = CliRunner().invoke(app, ["bill", "customers", "--json"])
    assert told.exit_code == 0
    (one,) = json.loads(told.output)["customers"]
    assert (one["code"], one["given"], one["orders"], one["name"]) == ("C-1001", True, 2, "Acme Inc")
