"""One request at a time against a server that answers badly: what is in doubt, what is certainly not applied, what is bounded."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.base import Operation, PushItem
from connectors.errors import (
    AuthFailed,
    ConnectorError,
    Misconfigured,
    OutcomeUnknown,
    QuotaExhausted,
    RetryLater,
)
from connectors.tryton import TrytonConnector, TrytonSettings
from connectors.tryton.rpc import RpcSession

Answer = Callable[[BaseHTTPRequestHandler, dict[str, Any]], None]
SECRET = "only-for-the-server"


class Scripted:
    """A server that logs everybody in and answers every other call by its script."""

    def __init__(self) -> None:
        self.answer: Answer = lambda handler, _: say(handler, {"result": None})
        self.calls: list[str] = []
        self.logins = 0
        scripted = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if request["method"] == "common.db.login":
                    scripted.logins += 1
                    good = request["params"][1]["password"] == SECRET
                    say(self, {"result": [7, f"token{scripted.logins}", None]} if good else {}, 200 if good else 401)
                elif request["method"] == "model.res.user.get_preferences":
                    say(self, {"result": {"company": 1, "language": "de"}})
                else:
                    scripted.calls.append(request["method"])
                    scripted.answer(self, request)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's own name
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def settings(self, **more: Any) -> TrytonSettings:
        url = f"http://127.0.0.1:{self.server.server_address[1]}"
        known = {"url": url, "database": "acme", "user": "hub", "password": SECRET, "max_reply_bytes": 65_536}
        return TrytonSettings.model_validate({**known, **more})


def say(handler: BaseHTTPRequestHandler, content: Any, status: int = 200) -> None:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def half(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"result": [')


def hang_up(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
    handler.close_connection = True


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    server = Scripted()
    yield server
    server.server.shutdown()
    server.thread.join(60)
    server.server.server_close()


@pytest.fixture
def session(scripted: Scripted) -> Iterator[RpcSession]:
    opened = RpcSession(scripted.settings())
    yield opened
    opened.close()


BAD_ANSWERS: dict[str, Answer] = {
    "half an answer": half,
    "no answer": hang_up,
    "a web page": lambda handler, _: say(handler, b"<html>maintenance</html>"),
    "503": lambda handler, _: say(handler, b"", 503),
    "500": lambda handler, _: say(handler, b"oops", 500),
    "a redirect": lambda handler, _: say(handler, b"", 302),
    "neither result nor error": lambda handler, _: say(handler, {"id": 0}),
    "a list": lambda handler, _: say(handler, []),
    "more than is read": lambda handler, _: say(handler, {"result": "x" * 70_000}),
    "depth": lambda handler, _: say(handler, b'{"result": ' + b"[" * 5000 + b"]" * 5000 + b"}"),
    "an unknown error": lambda handler, _: say(handler, {"error": ["KeyError('x')", "Traceback"]}),
}


@pytest.mark.parametrize("answer", BAD_ANSWERS.values(), ids=BAD_ANSWERS.keys())
def test_a_write_with_an_unreadable_answer_is_in_doubt_and_a_read_is_tried_later(
    scripted: Scripted, session: RpcSession, answer: Answer
) -> None:
    scripted.answer = answer
    with pytest.raises(OutcomeUnknown):
        session.write("account.invoice", "create", [{}])
    with pytest.raises(RetryLater):
        session.read("account.invoice", "search", [])
    assert len(scripted.calls) == 2, "each request is sent once"


def test_an_expired_session_is_renewed_once_and_the_request_is_sent_again(
    scripted: Scripted, session: RpcSession
) -> None:
    refused = iter([True, False])
    scripted.answer = lambda handler, _: (
        say(handler, b"", 401) if next(refused, False) else say(handler, {"result": [5]})
    )
    assert session.write("account.invoice", "post", [5]) == [5]
    assert (scripted.logins, len(scripted.calls)) == (2, 2)


def test_a_session_that_is_refused_again_and_again_stops_the_connection(
    scripted: Scripted, session: RpcSession
) -> None:
    scripted.answer = lambda handler, _: say(handler, b"", 401)
    with pytest.raises(AuthFailed, match="seconds old"):
        session.write("account.invoice", "post", [5])
    assert len(scripted.calls) == 2


@pytest.mark.parametrize(
    ("status", "kind"), [(403, Misconfigured), (404, Misconfigured), (405, Misconfigured), (429, QuotaExhausted)]
)
def test_a_refusal_before_the_transaction_is_certainly_not_applied(
    scripted: Scripted, session: RpcSession, status: int, kind: type[ConnectorError]
) -> None:
    scripted.answer = lambda handler, _: say(handler, b"", status)
    with pytest.raises(kind):
        session.write("account.invoice", "create", [{}])


def test_a_wrong_password_is_a_sentence_without_the_password(scripted: Scripted) -> None:
    stranger = RpcSession(scripted.settings(password="guess-me"))
    with pytest.raises(AuthFailed) as caught:
        stranger.read("account.invoice", "search", [])
    assert "guess-me" not in str(caught.value)
    stranger.close()


def test_nobody_listening_is_certainly_not_applied(scripted: Scripted) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    alone = RpcSession(scripted.settings(url=f"http://127.0.0.1:{port}"))
    with pytest.raises(RetryLater, match="Nothing was sent"):
        alone.write("account.invoice", "create", [{}])
    alone.close()


def test_every_call_carries_the_company_and_speaks_english(scripted: Scripted) -> None:
    seen: list[dict[str, Any]] = []

    def keep(handler: BaseHTTPRequestHandler, request: dict[str, Any]) -> None:
        seen.append(request["params"][-1])
        say(handler, {"result": []})

    scripted.answer = keep
    session = RpcSession(scripted.settings(company=3))
    session.read("account.invoice", "search", [])
    assert seen == [{"company": 3, "language": "en"}]
    session.close()


DOCUMENT = {
    "reference": "doc-1",
    "party": {"code": "A-1", "name": "Acme"},
    "currency": "USD",
    "date": "2020-03-31",
    "total": 10,
    "lines": [{"description": "Home", "amount": 10}],
}


def test_a_document_of_another_shape_is_rejected_before_any_request(scripted: Scripted) -> None:
    connector = TrytonConnector(scripted.settings())
    (result,) = connector.push("Invoice", Operation.CREATE, [PushItem("k", {**DOCUMENT, "total": 11})])
    assert (result.code, result.reason, scripted.calls) == ("DOCUMENT-SHAPE", "mapping", [])
    connector.close()


@pytest.mark.parametrize(
    "found", [None, {}, [1], [{"id": "x"}], [{}]], ids=["null", "object", "numbers", "odd id", "no id"]
)
def test_a_look_up_that_answers_nonsense_creates_nothing(scripted: Scripted, found: object) -> None:
    scripted.answer = lambda handler, _: say(handler, {"result": found})
    connector = TrytonConnector(scripted.settings())
    with pytest.raises(RetryLater):
        connector.push("Invoice", Operation.CREATE, [PushItem("k", DOCUMENT)])
    assert scripted.calls == ["model.account.invoice.search_read"]
    connector.close()


@pytest.mark.parametrize("operation", [Operation.UPDATE, Operation.ACT])
def test_posted_documents_are_never_changed(scripted: Scripted, operation: Operation) -> None:
    connector = TrytonConnector(scripted.settings())
    with pytest.raises(Misconfigured):
        connector.push("Invoice", operation, [PushItem("k", DOCUMENT, "5")])
    assert scripted.calls == []
    connector.close()


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("url", "http://erp.acme.example"),
        ("url", "https://user:secret@erp.acme.example"),
        ("url", "ftp://erp.acme.example"),
        ("database", "a/b"),
        ("surprise", 1),
        ("price_decimals", 99),
    ],
)
def test_settings_that_cannot_work_are_refused(setting: str, value: object) -> None:
    known = {"url": "https://erp.acme.example", "database": "acme", "user": "hub", "password": "x"}
    with pytest.raises(ValidationError, match=setting):
        TrytonSettings.model_validate({**known, setting: value})
