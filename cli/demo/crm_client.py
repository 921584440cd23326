"""The salesperson's own access to the CRM: a small Salesforce REST client, apart from the hub's connector.

It logs in with the OAuth client-credentials flow and makes each request once; an answer that is not the expected one
raises `CrmError`. Vendor rules: Salesforce REST API Developer Guide (sObject Collections: at most 200 records a call,
results in the order of the records).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import Any

import orjson
import requests

API = "/services/data/v68.0"
COLLECTION = 200
TIMEOUT_SECONDS = 60.0


class CrmError(Exception):
    """The CRM answered something that stops the work; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class Saved:
    """What became of one record: its id, or the vendor's status code and message."""

    id: str | None
    code: str = ""
    message: str = ""


class CrmClient:
    """One logged-in user. Usable as a context manager; `url` is the instance, for instance http://127.0.0.1:8302."""

    def __init__(self, url: str, consumer_key: str, consumer_secret: str) -> None:
        self._url = url.rstrip("/")
        self._session = requests.Session()
        self._session.trust_env = False  # loopback: no proxy, no netrc
        reply = self._send(
            "POST",
            f"{self._url}/services/oauth2/token",
            data={"grant_type": "client_credentials"},
            auth=(consumer_key, consumer_secret),
        )
        if reply.status_code != 200:
            raise CrmError(
                f"The CRM at {self._url} refused the log-in ({reply.status_code}: {reply.text[:200]}). "
                "Nothing is loaded. Whoever runs the CRM checks the client's key and secret."
            )
        self._session.headers["Authorization"] = f"Bearer {reply.json()['access_token']}"
        self._session.headers["Content-Type"] = "application/json"

    def __enter__(self) -> CrmClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def query(self, soql: str) -> Iterator[Mapping[str, Any]]:
        """All rows of a SOQL query, page by page."""
        page = self._json("GET", f"{API}/query", params={"q": soql})
        while True:
            yield from page["records"]
            if page["done"]:
                return
            page = self._json("GET", page["nextRecordsUrl"])

    def create(self, record: str, rows: Iterable[Mapping[str, Any]]) -> list[Saved]:
        """Create rows of one type; one answer per row, in order. A refused row does not stop the others."""
        return self._save("POST", record, rows)

    def update(self, record: str, rows: Iterable[Mapping[str, Any]]) -> list[Saved]:
        """Change rows that carry their `Id`; answers as for `create`."""
        return self._save("PATCH", record, rows)

    def _save(self, method: str, record: str, rows: Iterable[Mapping[str, Any]]) -> list[Saved]:
        saved: list[Saved] = []
        for batch in _batches(rows):
            body = {"allOrNone": False, "records": [{"attributes": {"type": record}, **row} for row in batch]}
            answers = self._json(method, f"{API}/composite/sobjects", body=body)
            if len(answers) != len(batch):
                raise CrmError(f"The CRM answered {len(answers)} results for {len(batch)} records. The loading stops.")
            saved.extend(_saved(answer) for answer in answers)
        return saved

    def _send(self, method: str, url: str, **arguments: Any) -> requests.Response:
        try:
            return self._session.request(method, url, timeout=TIMEOUT_SECONDS, **arguments)
        except requests.RequestException as error:
            raise CrmError(
                f"The CRM at {self._url} does not answer ({type(error).__name__}). The loading stops. "
                "Whoever runs the CRM starts it again."
            ) from error

    def _json(self, method: str, path: str, *, params: Mapping[str, str] | None = None, body: object = None) -> Any:
        data = None if body is None else orjson.dumps(body, default=_exact)
        reply = self._send(method, self._url + path, params=params, data=data)
        if reply.status_code >= 300:
            raise CrmError(
                f"The CRM refused {method} {path} ({reply.status_code}: {reply.text[:500]}). The loading stops. "
                "Whoever runs the demo reads the message and corrects the order book or the CRM."
            )
        return orjson.loads(reply.content)


def _exact(value: object) -> object:
    """A Decimal becomes a JSON number with all its digits; no float in between."""
    if isinstance(value, Decimal):
        return orjson.Fragment(format(value, "f"))
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _batches(rows: Iterable[Mapping[str, Any]]) -> Iterator[Sequence[Mapping[str, Any]]]:
    remaining = iter(rows)
    while batch := list(islice(remaining, COLLECTION)):
        yield batch


def _saved(answer: Mapping[str, Any]) -> Saved:
    if answer["success"]:
        return Saved(answer["id"])
    errors = answer["errors"]
    return Saved(None, errors[0]["statusCode"], "; ".join(error["message"] for error in errors))
