"""Runs a SELECT over the org's tables: resolves names against what the user may see, filters, sorts, groups, renders."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from typing import Any

from sandbox.salesforce.errors import NotSimulatedError, SalesforceError
from sandbox.salesforce.facts import Field, SObject
from sandbox.salesforce.schema import View
from sandbox.salesforce.soql.conditions import Conditions, Getter, Operand, Predicate
from sandbox.salesforce.soql.syntax import Aggregate, Column, Path, Select, malformed, parse, pointer
from sandbox.salesforce.tables import Row, Table

MAX_OFFSET = 2000
MAX_AGGREGATE_ROWS = 2000
_MAX_PARENTS = 5
_HINT_FIELD = (
    "If you are attempting to use a custom field, be sure to append the '__c' after the custom field name. "
    "Please reference your WSDL or the describe call for the appropriate names."
)
_HINT_RELATIONSHIP = (
    "If you are attempting to use a custom relationship, be sure to append the '__r' after the custom relationship "
    "name. Please reference your WSDL or the describe call for the appropriate names."
)
_HINT_OBJECT = (
    "If you are attempting to use a custom object, be sure to append the '__c' after the entity name. "
    "Please reference your WSDL or the describe call for the appropriate names."
)
Render = Callable[[Row, str], dict[str, Any]]


@dataclass(frozen=True)
class Org:
    """What a query reads: the user's view, the tables, the moment and the user's time zone."""

    view: View
    tables: Mapping[str, Table]
    now: datetime
    zone: tzinfo


@dataclass(frozen=True)
class Answer:
    """The result of a query: the rows, and how to write each for a URL prefix such as `/services/data/v68.0`."""

    total: int
    rows: list[Row]
    render: Render
    sobject: str
    paged: bool = True


def run(text: str, org: Org, *, deleted_too: bool = False) -> Answer:
    """Run one statement.

    Args:
        deleted_too: queryAll, which sees the recycle bin.

    Raises:
        SalesforceError: MALFORMED_QUERY, INVALID_FIELD, INVALID_TYPE and other refusals, HTTP 400.
    """
    select = parse(text)
    sobject = org.view.find(select.source)
    if sobject is None:
        what = f"sObject type '{select.source}' is not supported. {_HINT_OBJECT}"
        raise SalesforceError(400, "INVALID_TYPE", pointer(text, select.source_at) + what)
    return _Query(text, select, sobject, org, deleted_too).answer()


def matcher(text: str, org: Org, sobject: SObject) -> Predicate:
    """A predicate over rows of an object from the text of a WHERE condition (validation rules)."""
    statement = f"SELECT Id FROM {sobject.name} WHERE {text}"  # noqa: S608 - SOQL over our own tables
    select = parse(statement)
    return _Query(statement, select, sobject, org, True).predicate()


class _Query:
    def __init__(self, text: str, select: Select, sobject: SObject, org: Org, deleted_too: bool) -> None:
        self.text = text
        self.select = select
        self.sobject = sobject
        self.org = org
        self.deleted_too = deleted_too
        self.table = org.tables[sobject.name]
        self.conditions = Conditions(text, self.resolve, self.values_of, org.now, org.zone)

    # -- names

    def error(self, at: int, code: str, what: str) -> SalesforceError:
        return SalesforceError(400, code, pointer(self.text, at) + what)

    def walk(self, path: Path) -> tuple[list[Field], SObject, Field]:
        """The reference fields on the way of a path, the object at its end and the field there."""
        parts = list(path.parts)
        if len(parts) > 1 and parts[0].lower() in (self.sobject.name.lower(), (self.select.alias or "").lower()):
            parts = parts[1:]
        if len(parts) > _MAX_PARENTS + 1:
            raise self.error(path.at, "INVALID_FIELD", "only 5 levels of parent relationships are allowed")
        sobject, hops = self.sobject, []
        for part in parts[:-1]:
            reference = sobject.parents.get(part.lower())
            parent = self.org.view.find(reference.referenceTo[0]) if reference else None
            if reference is None or parent is None:
                what = f"Didn't understand relationship '{part}' in field path. {_HINT_RELATIONSHIP}"
                raise self.error(path.at, "INVALID_FIELD", what)
            hops.append(reference)
            sobject = parent
        field = sobject.by_key.get(parts[-1].lower())
        if field is None:
            what = f"No such column '{parts[-1]}' on entity '{sobject.name}'. {_HINT_FIELD}"
            raise self.error(path.at, "INVALID_FIELD", what)
        return hops, sobject, field

    def resolve(self, path: Path | Aggregate) -> Operand:
        if isinstance(path, Aggregate):
            raise malformed(self.text, path.at, f"Aggregate expressions not allowed outside HAVING: {path.function}")
        hops, _, field = self.walk(path)
        return Operand(self.getter(hops, field.name), field)

    def getter(self, hops: list[Field], name: str) -> Getter:
        if not hops:
            return lambda row: row.get(name)
        steps = [(hop.name, self.org.tables[hop.referenceTo[0]].rows) for hop in hops]

        def get(row: Row) -> Any:
            current: Row | None = row
            for reference, rows in steps:
                current = rows.get(current.get(reference, "")) if current is not None else None
            return None if current is None else current.get(name)

        return get

    # -- filtering and sorting

    def predicate(self) -> Predicate:
        return self.conditions.compile(self.select.where) if self.select.where else lambda _row: True

    def matching(self, ids: Iterable[str] | None = None) -> list[Row]:
        """The rows that pass WHERE, live ones unless the recycle bin is asked for."""
        test = self.predicate()
        rows = self.table.rows
        if ids is None:
            ids = self.conditions.candidates(self.select.where, self.table, self.sobject)
        found = rows.values() if ids is None else [rows[id_] for id_ in ids]
        hidden = self.table.hidden()
        return [
            row
            for row in found
            if (self.deleted_too or not row.get("IsDeleted")) and row["Id"] not in hidden and test(row)
        ]

    def sort(self, rows: list[Row]) -> list[Row]:
        """By ORDER BY; without it and among equals by id, which is no order of creation."""
        rows = sorted(rows, key=lambda row: str(row["Id"]))
        for ordering in reversed(self.select.order):
            operand = self.resolve(ordering.operand)
            if not operand.field.sortable:
                raise malformed(
                    self.text, ordering.operand.at, f"field '{operand.field.name}' can not be sorted in a query call"
                )
            rows = _sorted(rows, operand.get, operand.field, ordering.descending, ordering.nulls_last)
        return rows

    def window(self, rows: list[Row]) -> list[Row]:
        if self.select.offset > MAX_OFFSET:
            message = f"Maximum SOQL offset allowed is {MAX_OFFSET}"
            raise SalesforceError(400, "NUMBER_OUTSIDE_VALID_RANGE", message)
        end = None if self.select.limit is None else self.select.offset + self.select.limit
        return rows[self.select.offset : end]

    def values_of(self, select: Select, path: Path) -> set[str]:
        sobject = self.org.view.find(select.source)
        if sobject is None:
            what = f"sObject type '{select.source}' is not supported. {_HINT_OBJECT}"
            raise self.error(select.source_at, "INVALID_TYPE", what)
        inner = _Query(self.text, select, sobject, self.org, self.deleted_too)
        item = select.items[0]
        if len(select.items) != 1 or not isinstance(item, Column):
            raise malformed(self.text, path.at, "Nesting of semi join sub-selects needs exactly one selected field")
        operand = inner.resolve(item.path)
        if operand.field.type not in ("id", "reference"):
            what = f"The selected field '{operand.field.name}' in the subquery and the left operand field must have the same type"
            raise malformed(self.text, item.path.at, what)
        return {value for row in inner.window(inner.matching()) if (value := operand.get(row)) is not None}

    # -- answers

    def answer(self) -> Answer:
        if any(isinstance(item, Aggregate) for item in self.select.items) or self.select.group:
            return self.aggregated()
        render = self.renderer()
        rows = self.window(self.sort(self.matching()))
        return Answer(len(rows), rows, render, self.sobject.name)

    def aggregated(self) -> Answer:
        items = self.select.items
        if len(items) == 1 and isinstance(items[0], Aggregate) and items[0].path is None and not self.select.group:
            if items[0].function != "COUNT":
                raise _unknown_function(items[0])
            return Answer(len(self.window(self.matching())), [], lambda _row, _prefix: {}, self.sobject.name)
        keys = [self.resolve(path) for path in self.select.group]
        for operand, path in zip(keys, self.select.group, strict=True):
            if not operand.field.groupable:
                raise malformed(self.text, path.at, f"field '{operand.field.name}' can not be grouped in a query call")
        rows = self.matching()
        groups: dict[tuple[Any, ...], list[Row]] = {} if keys else {(): rows}
        for row in rows if keys else ():
            groups.setdefault(tuple(_fold(key.get(row)) for key in keys), []).append(row)
        results: list[Row] = [{"": members} for members in groups.values()]
        inner = _Grouped(self, self.select)
        if self.select.having:
            test = replace(self.conditions, resolve=inner.resolve).compile(self.select.having)
            results = [result for result in results if test(result)]
        for ordering in reversed(self.select.order):
            operand = inner.resolve(ordering.operand)
            results = _sorted(results, operand.get, operand.field, ordering.descending, ordering.nulls_last)
        results = self.window(results)
        if len(results) > MAX_AGGREGATE_ROWS:
            message = (
                "Aggregate query does not support queryMore(), use LIMIT to restrict the results to a single batch"
            )
            raise SalesforceError(400, "EXCEEDED_ID_LIMIT", message)
        columns = inner.columns()

        def render(result: Row, _prefix: str) -> dict[str, Any]:
            return {"attributes": {"type": "AggregateResult"}, **{name: get(result) for name, get in columns}}

        return Answer(len(results), results, render, self.sobject.name, paged=False)

    # -- rendering

    def renderer(self) -> Render:
        """Writes a row as the vendor does: attributes first, then the selected fields in their order."""
        parts: list[tuple[str, Callable[[Row, str], Any]]] = []
        nested: dict[str, list[Path]] = {}
        seen: set[tuple[str, ...]] = set()
        plain: list[str] = []
        for item in self.select.items:
            if isinstance(item, Select):
                parts.append(self.child_list(item))
                continue
            assert isinstance(item, Column)
            if item.alias is not None:
                raise malformed(
                    self.text, item.path.at, f"only aggregate expressions use field aliasing: '{item.alias}'"
                )
            hops, _, field = self.walk(item.path)
            key = (*(hop.key for hop in hops), field.key)
            if key in seen:
                raise self.error(item.path.at, "INVALID_FIELD", f"duplicate field selected: {field.name}")
            seen.add(key)
            if not hops:
                name = field.name
                plain.append(name)
                parts.append((name, lambda row, _prefix, name=name: row.get(name)))  # type: ignore[misc]
                continue
            relationship = hops[0].relationshipName
            assert relationship is not None
            if relationship not in nested:
                nested[relationship] = []
                parts.append((relationship, self.parent(hops[0], nested[relationship])))
            skipped = len(item.path.parts) - len(hops)
            nested[relationship].append(Path(item.path.parts[skipped:], item.path.at))
        segment = f"/sobjects/{self.sobject.name}/"
        type_name = self.sobject.name
        if len(plain) == len(parts):

            def render_plain(row: Row, prefix: str) -> dict[str, Any]:
                get = row.get
                attributes = {"type": type_name, "url": f"{prefix}{segment}{row['Id']}"}
                return {"attributes": attributes, **{name: get(name) for name in plain}}

            return render_plain

        def render(row: Row, prefix: str) -> dict[str, Any]:
            attributes = {"type": type_name, "url": f"{prefix}{segment}{row['Id']}"}
            return {"attributes": attributes, **{name: write(row, prefix) for name, write in parts}}

        return render

    def parent(self, hop: Field, paths: list[Path]) -> Callable[[Row, str], Any]:
        """Writes a parent record; `paths` fills up while the select list is read, so it is compiled at first use."""
        sobject = self.org.view.find(hop.referenceTo[0])
        assert sobject is not None
        rows = self.org.tables[sobject.name].rows
        compiled: list[Render] = []

        def write(row: Row, prefix: str) -> Any:
            found = rows.get(row.get(hop.name, ""))
            if found is None:
                return None
            if not compiled:
                select = replace(
                    self.select, items=tuple(Column(path, None) for path in paths), source=sobject.name, alias=None
                )
                compiled.append(_Query(self.text, select, sobject, self.org, self.deleted_too).renderer())
            return compiled[0](found, prefix)

        return write

    def child_list(self, select: Select) -> tuple[str, Callable[[Row, str], Any]]:
        relationship = self.org.view.child_relationship(self.sobject.name, select.source)
        child = None if relationship is None else self.org.view.find(relationship.child)
        if relationship is None or child is None or child.by_key.get(relationship.field.key) is None:
            what = f"Didn't understand relationship '{select.source}' in FROM part of query call. {_HINT_RELATIONSHIP}"
            raise self.error(select.source_at, "INVALID_TYPE", what)
        if any(not isinstance(item, Column) for item in select.items):
            raise NotSimulatedError("SOQL aggregate or nested sub-select inside a child sub-select")
        inner = _Query(self.text, select, child, self.org, self.deleted_too)
        render = inner.renderer()
        inner.sort(inner.matching(()))  # a wrong WHERE or ORDER BY is refused even if no parent matches
        name, reference = relationship.name or "", relationship.field.name

        def write(row: Row, prefix: str) -> Any:
            rows = inner.window(inner.sort(inner.matching(sorted(inner.table.children(reference, row["Id"])))))
            if not rows:
                return None
            return {"totalSize": len(rows), "done": True, "records": [render(found, prefix) for found in rows]}

        return name, write


class _Grouped:
    """Reads grouped rows: a group's row holds its members under the key ''."""

    def __init__(self, query: _Query, select: Select) -> None:
        self._query = query
        self._keys = {query.walk(path)[2].key: query.resolve(path) for path in select.group}
        self._select = select

    def resolve(self, path: Path | Aggregate) -> Operand:
        if isinstance(path, Path):
            field = self._query.walk(path)[2]
            operand = self._keys.get(field.key)
            if operand is None:
                message = f"Field must be grouped or aggregated: {field.name}"
                raise malformed(self._query.text, path.at, message)
            inner = operand.get
            return Operand(lambda result: inner(result[""][0]), operand.field)
        return self._aggregate(path)

    def columns(self) -> list[tuple[str, Getter]]:
        columns: list[tuple[str, Getter]] = []
        unnamed = 0
        for item in self._select.items:
            if isinstance(item, Select):
                raise malformed(
                    self._query.text, item.source_at, "Grouped query cannot use child relationships in the SELECT list"
                )
            if isinstance(item, Column):
                operand = self.resolve(item.path)
                columns.append((item.alias or operand.field.name, operand.get))
                continue
            name = item.alias or f"expr{unnamed}"
            unnamed += item.alias is None
            columns.append((name, self._aggregate(item).get))
        return columns

    def _aggregate(self, item: Aggregate) -> Operand:
        whole = Field(name=item.function, type="int", digits=8)
        if item.path is None:
            if item.function != "COUNT":
                raise _unknown_function(item)
            return Operand(lambda result: len(result[""]), whole)
        if item.function not in ("COUNT", "COUNT_DISTINCT", "SUM", "AVG", "MIN", "MAX"):
            raise _unknown_function(item)
        operand = self._query.resolve(item.path)
        get, field = operand.get, operand.field

        def values(result: Row) -> list[Any]:
            return [value for row in result[""] if (value := get(row)) is not None]

        if item.function == "COUNT":
            return Operand(lambda result: len(values(result)), whole)
        if item.function == "COUNT_DISTINCT":
            return Operand(lambda result: len({_fold(value) for value in values(result)}), whole)
        numeric = field.type in ("int", "double", "currency", "percent")
        if not field.aggregatable or (item.function in ("SUM", "AVG") and not numeric):
            message = f"field {field.name} does not support aggregate operator {item.function}"
            raise malformed(self._query.text, item.at, message)
        if item.function == "SUM":
            return Operand(lambda result: sum(found) if (found := values(result)) else None, field)
        if item.function == "AVG":
            return Operand(lambda result: sum(found) / len(found) if (found := values(result)) else None, field)
        pick = min if item.function == "MIN" else max
        return Operand(lambda result: pick(found, key=_fold) if (found := values(result)) else None, field)


def _unknown_function(item: Aggregate) -> SalesforceError:
    return NotSimulatedError(f"SOQL function {item.function}()")


def _fold(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


def _sorted(rows: list[Row], get: Getter, field: Field, descending: bool, nulls_last: bool) -> list[Row]:
    """Stable sort by one key; text without regard to case, nulls first unless asked."""
    nulls = [row for row in rows if get(row) is None]
    rest = [row for row in rows if get(row) is not None] if nulls else list(rows)
    if field.is_text:
        rest.sort(key=lambda row: get(row).casefold(), reverse=descending)
    else:
        rest.sort(key=get, reverse=descending)
    return rest + nulls if nulls_last else nulls + rest
