"""Many documents in a call, against a Tryton in memory that applies each request whole or not at all, and may lose it."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.base import Outcome, PushItem, PushResult
from connectors.errors import Misconfigured, OutcomeUnknown, RecordRejected, RetryLater
from connectors.tryton import TrytonSettings
from connectors.tryton import posting as module
from connectors.tryton.directory import Directory
from connectors.tryton.posting import Posting
from connectors.tryton.rpc import RpcSession

SETTINGS = TrytonSettings.model_validate(
    {"url": "http://127.0.0.1:1", "database": "acme", "user": "hub", "password": "p", "product": "MEDIA"}
)
WRITES = ("account.invoice.create", "account.invoice.validate_invoice", "account.invoice.post")


class Books:
    """Tryton's side: parties, invoices and lines. A line called `closed` is never posted; the wire fails as it is told."""

    def __init__(self) -> None:
        self.invoices: dict[int, dict[str, Any]] = {}
        self.parties: dict[str, int] = {}
        self.ids = itertools.count(1)
        self.numbers = itertools.count(1)
        self.calls: Counter[str] = Counter()
        self.fails: Iterator[str] = iter(())

    # ------------------------------------------------------------ the session
    def context(self) -> Mapping[str, Any]:
        return {"company": 1}

    def read(self, model: str, method: str, *parameters: Any, context: Any = None) -> Any:
        self.calls[f"{model}.{method}"] += 1
        match model, method:
            case "account.invoice", "search_read":
                wanted = parameters[0][0][2]
                return [dict(row) for row in self.invoices.values() if row["reference"] in wanted]
            case "account.invoice", "read":
                return [dict(self.invoices[one]) for one in parameters[0]]
            case "account.invoice.line", "search_read":
                within = parameters[0][0][2]
                return [
                    {"id": one * 1000 + place, "invoice": one}
                    for one in within
                    for place in range(len(self.invoices[one]["line_lines."]))
                ]
            case "party.party", "search_read":
                known = [code for code in parameters[0][0][2] if code in self.parties]
                return [{"id": self.parties[code], "code": code, "active": True, "addresses": [1]} for code in known]
            case "product.product", "search_read":
                return [
                    {
                        "id": 1,
                        "default_uom": 1,
                        "default_uom.": {"digits": 3},
                        "account_category.": {"account_revenue": 1},
                    }
                ]
            case "account.configuration", "read":
                return [{"id": 1, "default_account_receivable": 1}]
            case "currency.currency", "search_read":
                return [{"id": 1, "digits": 2}]
        return [{"id": 1}]

    def write(self, model: str, method: str, *parameters: Any, context: Any = None) -> Any:
        self.calls[f"{model}.{method}"] += 1
        fate = next(self.fails, "fine")
        if fate == "not sent":
            raise RetryLater("NO-CONNECTION", "no connection")
        if fate == "request lost":
            raise OutcomeUnknown("NO-ANSWER", "nobody knows")
        answer = self.apply(f"{model}.{method}", parameters[0])
        if fate == "reply lost":
            raise OutcomeUnknown("NO-ANSWER", "nobody knows")
        return answer

    def apply(self, method: str, given: Sequence[Any]) -> Any:
        """One transaction: refused before anything of it is done."""
        match method:
            case "party.party.create":
                if any(values["code"] in self.parties for values in given):
                    raise RecordRejected("UserError", "The code must be unique.")
                for values in given:
                    self.parties[values["code"]] = next(self.ids)
                return [self.parties[values["code"]] for values in given]
            case "account.invoice.create":
                if any(values["description"] == "refused" for values in given):
                    raise RecordRejected("UserError", "The record is refused.")
                return [self._draft(values) for values in given]
            case "account.invoice.validate_invoice":
                self._move(given, "draft", "validated")
            case "account.invoice.draft":
                self._move(given, "validated", "draft")
            case "account.invoice.post":
                if any(self.invoices[one]["description"] == "closed" for one in given):
                    raise RecordRejected("UserError", 'You must reopen the period "2020-03".')
                self._move(given, "validated", "posted")
                for one in given:
                    self.invoices[one]["number"] = f"INV-{next(self.numbers)}"
        return None

    def _move(self, given: Sequence[int], source: str, target: str) -> None:
        if any(self.invoices[one]["state"] != source for one in given):
            raise RecordRejected("UserError", "The transition is not allowed.")
        for one in given:
            self.invoices[one]["state"] = target

    def _draft(self, values: Mapping[str, Any]) -> int:
        native_id = next(self.ids)
        lines = [values["unit_price"] * values["quantity"].number for values in values["lines"][0][1]]
        code = next(code for code, party in self.parties.items() if party == values["party"])
        self.invoices[native_id] = {
            "id": native_id,
            "reference": values["reference"],
            "description": values["description"],
            "state": "draft",
            "number": None,
            "total_amount": sum(lines, Decimal(0)),
            "tax_amount": Decimal(0),
            "party.": {"code": code},
            "currency.": {"code": "USD"},
            "line_lines.": [{"amount": amount} for amount in lines],
        }
        return native_id

    def posted(self) -> Counter[str]:
        return Counter(row["reference"] for row in self.invoices.values() if row["state"] == "posted")


def posting(books: Books) -> Posting:
    session = cast(RpcSession, books)
    return Posting(session, Directory(session, SETTINGS), SETTINGS)


def item(name: str, *, lines: int = 1, description: str = "fine", party: str = "A-1", **more: Any) -> PushItem:
    rows = [{"description": "Home", "amount": Decimal("2.50"), **more.pop("line", {})} for _ in range(lines)]
    payload = {
        "reference": name,
        "party": {"code": party, "name": party},
        "currency": "USD",
        "date": "2020-03-31",
        "description": description,
        "total": Decimal("2.50") * lines,
        "lines": rows,
        **more,
    }
    return PushItem(f"key of {name}", payload, None)


def outcomes(results: Sequence[PushResult]) -> list[Outcome]:
    return [result.outcome for result in results]


def test_many_documents_are_one_create_one_validation_and_one_posting() -> None:
    books = Books()
    results = posting(books).post([item(f"d{n}", party=f"A-{n % 3}") for n in range(20)])
    assert outcomes(results) == [Outcome.CREATED] * 20
    assert [books.calls[method] for method in (*WRITES, "party.party.create")] == [1, 1, 1, 1]
    assert books.posted() == Counter(f"d{n}" for n in range(20))
    assert [result.key for result in results] == [f"key of d{n}" for n in range(20)]


@pytest.mark.parametrize("description", ["refused", "closed"])
def test_what_one_is_refused_for_does_not_keep_the_others(description: str) -> None:
    books = Books()
    items = [item(f"d{n}", description=description if n == 4 else "fine") for n in range(9)]
    results = posting(books).post(items)
    assert outcomes(results) == [Outcome.REJECTED if n == 4 else Outcome.CREATED for n in range(9)]
    left = [row["state"] for row in books.invoices.values() if row["reference"] == "d4"]
    assert left == ([] if description == "refused" else ["draft"]), "finance can change what is left"
    assert max(books.calls[method] for method in WRITES) <= 9, "halves, not one by one"


def test_a_reference_that_comes_twice_is_posted_once() -> None:
    books = Books()
    results = posting(books).post([item("d1"), item("d1")])
    assert outcomes(results) == [Outcome.CREATED, Outcome.REJECTED]
    assert results[1].code == "REFERENCE-TWICE"
    assert books.posted() == Counter(["d1"])


def test_a_correction_comes_after_what_it_corrects_in_the_same_call() -> None:
    books = Books()
    credit = item("c1", kind="credit_memo", corrects="d1", line={"corrects": 1})
    assert outcomes(posting(books).post([credit, item("d1")])) == [Outcome.CREATED] * 2
    assert [row["reference"] for row in books.invoices.values()] == ["d1", "c1"]
    assert next(row for row in books.invoices.values() if row["reference"] == "c1")["total_amount"] == Decimal("-2.50")


def test_a_request_nobody_answers_leaves_its_documents_in_doubt_and_the_later_ones_unsent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "LINES_AT_ONCE", 4)
    books = Books()
    books.parties["A-1"] = 99
    books.fails = iter(["fine", "fine", "fine", "fine", "reply lost"])
    results = posting(books).post([item(f"d{n}", lines=2) for n in range(6)])
    assert outcomes(results) == [Outcome.CREATED] * 2 + [Outcome.IN_DOUBT] * 2 + [Outcome.RETRY] * 2
    assert books.calls["account.invoice.create"] == 2


def test_a_call_that_fails_as_a_whole_raises_what_it_means(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LINES_AT_ONCE", 1)
    for error in (RetryLater("A", "a"), Misconfigured("B", "b")):
        books = Books()

        def failing(*_: Any, error: Exception = error, **__: Any) -> None:
            raise error

        books.read = failing  # type: ignore[method-assign]
        with pytest.raises(type(error)):
            posting(books).post([item("d1"), item("d2")])


def test_a_call_ends_before_the_engine_takes_its_worker_for_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LINES_AT_ONCE", 4)
    monkeypatch.setattr(module, "LINES_OF_A_CALL", 10)
    books = Books()
    results = posting(books).post([item(f"d{n}", lines=3) for n in range(5)])
    assert outcomes(results) == [Outcome.CREATED] * 3 + [Outcome.RETRY] * 2
    assert {(result.code, result.after) for result in results[3:]} == {("CALL-FULL", 0.0)}
    assert outcomes(posting(books).post([item("long", lines=50)])) == [Outcome.CREATED], "one that is longer goes alone"


def test_parties_that_another_worker_created_meanwhile_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    books = Books()
    apply = books.apply

    def faster(method: str, given: Sequence[Any]) -> Any:
        if method == "party.party.create":
            books.parties.setdefault("A-2", 77)
        return apply(method, given)

    monkeypatch.setattr(books, "apply", faster)
    results = posting(books).post([item(f"d{n}", party=f"A-{n}") for n in range(4)])
    assert outcomes(results) == [Outcome.CREATED] * 4
    assert sorted(books.parties) == ["A-0", "A-1", "A-2", "A-3"]


FATES = st.lists(st.sampled_from(["fine", "fine", "reply lost", "request lost", "not sent"]), max_size=12)


@settings(max_examples=150)
@given(fates=FATES, sizes=st.lists(st.integers(1, 5), min_size=1, max_size=8), bad=st.sets(st.integers(0, 7)))
def test_whatever_is_lost_each_document_is_posted_once(fates: list[str], sizes: list[int], bad: set[int]) -> None:
    """The engine's part is played by sending again what has no result yet, each time after its request has ended."""
    books = Books()
    books.fails = iter(fates)
    open_items = [
        item(f"d{n}", lines=size, description="closed" if n in bad else "fine", party=f"A-{n % 3}")
        for n, size in enumerate(sizes)
    ]
    ours = posting(books)
    for _ in range(len(fates) + 2):
        try:
            results = ours.post(open_items)
        except (OutcomeUnknown, RetryLater):
            continue
        open_items = [
            one
            for one, result in zip(open_items, results, strict=True)
            if result.outcome in (Outcome.IN_DOUBT, Outcome.RETRY)
        ]
    assert open_items == []
    assert books.posted() == Counter(f"d{n}" for n in range(len(sizes)) if n not in bad)
    assert set(Counter(row["reference"] for row in books.invoices.values()).values()) == {1}
