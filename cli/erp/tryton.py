"""A real Tryton on loopback: its database is made once, copied for each start, and served by a process of its own.

The first start makes the template database: `trytond-admin` activates the modules, then `cli.erp.company` sets up a company
over JSON-RPC. It is kept under `.tools/tryton/template/<what it was made from>`, so that the next start takes seconds.
SQLite is enough: one file to copy, and every rule of the accounts is the server's own.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
import shutil
import sqlite3
import tempfile
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import SecretStr

from cli.erp import company
from cli.erp.installation import (
    DATABASE,
    PRICE_DECIMALS,
    TOOLS,
    Launch,
    ServerProcess,
    TrytonError,
    require_installed,
    run_admin,
)
from connectors.errors import ConnectorError
from connectors.tryton.rpc import RpcSession
from connectors.tryton.settings import TrytonSettings

MODULES = ("account", "account_invoice", "sale")
_DATABASE_FILE = f"{DATABASE}.sqlite"
_MARK = "credentials.json"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Passwords of the database's users: the administrator, the hub, and the bookkeeper who plays the people of finance."""

    admin: str = field(repr=False)
    hub: str = field(repr=False)
    bookkeeper: str = field(repr=False)

    @classmethod
    def new(cls) -> Self:
        """Fresh random ones, good enough for any password rule."""
        return cls(*(secrets.token_urlsafe(18) + "-1aA" for _ in range(3)))

    @classmethod
    def kept_in(cls, folder: Path) -> Self:
        """Those of the database in `folder`."""
        return cls(**json.loads((folder / _MARK).read_text("utf-8")))

    def of(self, user: str) -> SecretStr:
        """One user's."""
        return SecretStr({"admin": self.admin, company.HUB_USER: self.hub, company.BOOKKEEPER: self.bookkeeper}[user])


class TrytonServer:
    """One server over a copy of the template database in `folder`; a context manager. Raises TrytonError.

    With `fresh=False` the database of an earlier start in the same folder is kept. `launch` is as in `ServerProcess`.
    """

    def __init__(self, folder: Path, *, fresh: bool = True, tools: Path = TOOLS, launch: Launch | None = None) -> None:
        self.folder = folder.resolve()
        self._fresh = fresh
        self._tools = tools
        self._server = ServerProcess(tools, self.folder, launch)
        self._credentials: Credentials | None = None

    def start(self) -> None:
        """Copy the template where needed, start the server, return when it answers."""
        template = made_template(self._tools)
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._fresh or not (self.folder / _DATABASE_FILE).exists():
            _copy(template, self.folder)
        self._credentials = Credentials.kept_in(self.folder)
        self._server.start()

    def stop(self) -> None:
        """End the server; the database stays."""
        self._server.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """Process id of the running server, None when it does not run."""
        return self._server.pid

    @property
    def port(self) -> int:
        """The server's port on 127.0.0.1."""
        return self._server.port

    def settings(self, user: str = company.HUB_USER, **others: object) -> TrytonSettings:
        """Settings of a connection to this server for one of its users."""
        if self._credentials is None:
            raise TrytonError("The server was not started, so nobody can log in. Start it first.")
        return _settings(self.port, user, self._credentials, **others)


def _settings(port: int, user: str, credentials: Credentials, **others: object) -> TrytonSettings:
    return TrytonSettings.model_validate(
        {
            "url": f"http://127.0.0.1:{port}",
            "database": DATABASE,
            "user": user,
            "password": credentials.of(user),
            "price_decimals": PRICE_DECIMALS,
            "payment_term": company.PAYMENT_TERM,
            "term_from_posting": True,  # the sample order book is years old
            "product": company.PRODUCT,
            "revenue_account": company.REVENUE,
            **others,
        }
    )


# ---------------------------------------------------------------- the template
def made_template(tools: Path) -> Path:
    """The folder of the finished template, made now when there is none for this installation and this set-up.

    Raises TrytonError.
    """
    require_installed(tools)
    folder = tools / "template" / _fingerprint(tools)
    if (folder / _MARK).exists():
        return folder
    folder.parent.mkdir(exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix="making-", dir=folder.parent))  # mode 700
    try:
        _make(tools, making)
        try:
            making.rename(folder)
        except OSError:
            if not (folder / _MARK).exists():  # else another process finished the same template first
                raise
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return folder


def _make(tools: Path, folder: Path) -> None:
    credentials = Credentials.new()
    secret = folder / "password"
    secret.touch(mode=0o600)
    secret.write_text(credentials.admin + "\n", encoding="utf-8")
    (folder / _DATABASE_FILE).touch(mode=0o600)
    modules = [part for module in MODULES for part in ("-u", module)]
    run_admin(
        tools,
        folder,
        [*modules, "--activate-dependencies", "--email", "admin@example.com"],
        {"TRYTONPASSFILE": str(secret)},
    )
    secret.unlink()
    server = ServerProcess(tools, folder)
    server.start()
    session = RpcSession(_settings(server.port, "admin", credentials))
    try:
        company.set_up(session, credentials.hub, credentials.bookkeeper, fiscal_years())
    except ConnectorError as error:
        raise TrytonError(
            f"The company could not be set up in Tryton: {error} The template is not kept. Integration looks at cli/erp."
        ) from error
    finally:
        session.close()
        server.stop()
    _fold_journal(folder / _DATABASE_FILE)
    mark = folder / _MARK
    mark.touch(mode=0o600)
    mark.write_text(json.dumps(asdict(credentials)), encoding="utf-8")


def _fold_journal(database: Path) -> None:
    """Write what lies in the journal of a stopped server into the database file, the only one that is copied."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise TrytonError(f"Somebody else holds {database}; the template is not kept. Whoever started it stops it.")


def fiscal_years() -> tuple[int, ...]:
    """The years of the sample order book, and from last year to next."""
    now = datetime.now(UTC).year
    return tuple(sorted({2019, 2020, 2021, now - 1, now, now + 1}))


def _fingerprint(tools: Path) -> str:
    """What a template was made from: the installed server, the set-up, the years."""
    digest = hashlib.sha256()
    for path in (Path(company.__file__), Path(__file__)):
        digest.update(path.read_bytes())
    packages = sorted(path.name for path in tools.glob("lib/python*/site-packages/trytond*.dist-info"))
    digest.update(f"{packages}{fiscal_years()}{PRICE_DECIMALS}".encode())
    return digest.hexdigest()[:16]


def _copy(template: Path, folder: Path) -> None:
    """The template's database instead of whatever was there; a journal left by an earlier run would be replayed into it."""
    for leftover in folder.glob(f"{_DATABASE_FILE}-*"):
        leftover.unlink()
    for name in (_DATABASE_FILE, _MARK):
        shutil.copy2(template / name, folder / name)
