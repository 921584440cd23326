"""Turns names into ids: places, custom targeting keys and values, users."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from connectors.errors import Misconfigured, RetryLater
from connectors.gam.matching import GEO_TYPES, READ_WHOLE, Policy, Row, folded, matched, spellings
from connectors.gam.objects import Objects
from connectors.gam.settings import GamSettings
from connectors.gam.soap import Soap
from connectors.gam.statement import Where, chunks

_SELECT_PLACES = "SELECT Id, Name, CountryCode, Type FROM Geo_Target"


class Names:
    """Look-ups of one connection; tables that are read whole are kept as long as the connector lives."""

    def __init__(self, soap: Soap, objects: Objects, settings: GamSettings) -> None:
        self._soap = soap
        self._objects = objects
        self._settings = settings
        self._lock = threading.Lock()
        self._places: dict[tuple[str, str], list[Row]] = {}
        self._keys: dict[str, str] = {}

    def resolve(self, table: str, names: Sequence[str], scope: str = "") -> Mapping[str, str]:
        """Ids by name. Raises Misconfigured for a table that is not known, else like a read."""
        wanted = list(dict.fromkeys(name for name in names if name.strip()))
        if not wanted:
            return {}
        kind, _, part = table.partition(":")
        if kind == "Geo_Target" and part in GEO_TYPES:
            return self._resolve_places(part, wanted, scope)
        if table == "CustomTargetingKey":
            return matched(wanted, self._named("CustomTargetingKey", Where(), wanted))
        if table == "CustomTargetingValue":
            return self._resolve_values(wanted, scope)
        if table == "User":
            return self._resolve_users(wanted)
        known = [f"Geo_Target:{part}" for part in GEO_TYPES] + ["CustomTargetingKey", "CustomTargetingValue", "User"]
        raise Misconfigured("TABLE-UNKNOWN", f"There is no look-up table {table!r}. Choose {', '.join(known)}.")

    # ------------------------------------------------------------ places
    def _resolve_places(self, kind: str, names: Sequence[str], scope: str) -> Mapping[str, str]:
        country = self._country_code(scope) if scope.strip() and kind != "COUNTRY" else ""
        if country is None:
            return {}
        if kind in READ_WHOLE:
            policy = Policy.CITY_PART if kind == "METRO" else Policy.EXACT
            return matched(names, self._whole(kind, country), policy)
        rows: list[Row] = []
        for some in chunks(spellings(names), self._settings.names_per_query):
            rows.extend(self._rows(kind, country, some))
        return matched(names, rows)

    def _whole(self, kind: str, country: str) -> list[Row]:
        with self._lock:
            known = self._places.get((kind, country))
        if known is None:
            known = list(self._rows(kind, country, None))
            with self._lock:
                self._places[kind, country] = known
        return known

    def _rows(self, kind: str, country: str, names: Sequence[str] | None) -> Iterator[Row]:
        for rank, types in enumerate(GEO_TYPES[kind]):
            where = Where().among("Type", types).equals("Targetable", True)
            if country:
                where.equals("CountryCode", country)
            if names is not None:
                where.among("Name", names)
            for row in self._select(_SELECT_PLACES, where):
                yield Row(str(row["id"]), str(row["name"]), rank)

    def _country_code(self, scope: str) -> str | None:
        """The ISO code of a country given by code or name; None when the vendor knows no such country."""
        if len(scope.strip()) == 2:
            return scope.strip().upper()
        wanted = folded(scope)
        with self._lock:
            codes = dict(self._keys)
        if f"country:{wanted}" not in codes:
            where = Where().among("Type", ("Country",))
            found = {f"country:{folded(str(row['name']))}": str(row["countrycode"]) for row in self._select(
                _SELECT_PLACES, where)}  # fmt: skip
            with self._lock:
                self._keys.update(found)
            codes = found
        return codes.get(f"country:{wanted}")

    def _select(self, select: str, where: Where) -> Iterator[dict[str, Any]]:
        """Rows of a PQL table with their column names in lower case; the vendor changes the case of labels."""
        offset, size = 0, self._settings.page_size
        while True:
            statement = where.statement(select=select, order="Id", limit=size, offset=offset)
            answer = self._soap.read("PublisherQueryLanguageService", "select", statement)
            if not isinstance(answer, Mapping):
                raise RetryLater("PAGE-UNREADABLE", "The look-up table was answered with nothing.")
            columns = [str(column.get("labelName", "")).lower() for column in answer.get("columnTypes", [])]
            rows = answer.get("rows", [])
            for row in rows:
                values = [value.get("value") if isinstance(value, Mapping) else None for value in row.get("values", [])]
                if len(values) != len(columns):
                    raise RetryLater(
                        "ROW-UNREADABLE", "The look-up table answered a row that does not fit its columns."
                    )
                yield dict(zip(columns, values, strict=True))
            if len(rows) < size:
                return
            offset += size

    # ------------------------------------------------------------ custom targeting, users
    def _resolve_values(self, names: Sequence[str], scope: str) -> Mapping[str, str]:
        if not scope.strip():
            raise Misconfigured("SCOPE-MISSING", "CustomTargetingValue needs the name of its key as scope.")
        key = matched([scope], self._named("CustomTargetingKey", Where(), [scope])).get(scope)
        if key is None:
            return {}
        found: list[Row] = []
        # each name is asked for in up to four spellings
        for some in chunks(names, max(1, self._settings.names_per_query // 4)):
            found.extend(self._named("CustomTargetingValue", Where().equals("customTargetingKeyId", int(key)), some))
        return matched(names, found)

    def _named(self, record: str, where: Where, names: Sequence[str]) -> Iterator[Row]:
        asked = where.among("name", spellings(names))
        for native in self._objects.every(record, asked):
            if native.get("status", "ACTIVE") == "ACTIVE":
                yield Row(str(native["id"]), str(native["name"]))

    def _resolve_users(self, names: Sequence[str]) -> Mapping[str, str]:
        """Users by e-mail address or name; inactive ones are absent."""
        found: dict[str, str] = {}
        for column, some in (("email", [n for n in names if "@" in n]), ("name", [n for n in names if "@" not in n])):
            if not some:
                continue
            natives = [
                native
                for native in self._objects.every("User", Where().among(column, some))
                if native.get("isActive", True)
            ]
            found.update(matched(some, (Row(str(native["id"]), str(native.get(column, ""))) for native in natives)))
        return found
