"""The public contract as JSON Schema files, and the tables of the status machines as a page of the reference.

`python -m oms_schema.export` writes `oms_schema/json/v1/`, and refuses a schema that no longer accepts what the written
one accepts. `--docs` writes `docs/reference/status-machines.md` instead.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from oms_schema.base import Canonical
from oms_schema.change import Change
from oms_schema.compatibility import incompatibilities
from oms_schema.deal import Deal
from oms_schema.delivery import DeliveryFact, LinePeriod
from oms_schema.document import BillingDocument, Document, Envelope
from oms_schema.line import Line
from oms_schema.machine_tables import status_machines_page
from oms_schema.money import Money
from oms_schema.observation import LineObservation, OrderObservation
from oms_schema.order import Order
from oms_schema.party import Party
from oms_schema.payment import Payment
from oms_schema.projection import LineProjection, OrderProjection
from oms_schema.reference import Reference

VERSION = "v1"
ENTITIES: Mapping[str, Any] = {
    "billing_document": BillingDocument,
    "change": Change,
    "deal": Deal,
    "delivery_fact": DeliveryFact,
    "document": Document,
    "envelope": Envelope,
    "line": Line,
    "line_observation": LineObservation,
    "line_period": LinePeriod,
    "line_projection": LineProjection,
    "money": Money,
    "order": Order,
    "order_observation": OrderObservation,
    "order_projection": OrderProjection,
    "party": Party,
    "payment": Payment,
    "reference": Reference,
}
"""What is public, by the name of its file."""

_PACKAGE = Path(__file__).parent
FOLDER = _PACKAGE / "json" / VERSION
PAGE = _PACKAGE.parent / "docs" / "reference" / "status-machines.md"


class _WithoutFieldTitles(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def json_schema(name: str) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a public entity, with the docstrings of its fields as descriptions."""
    schema: dict[str, Any] = TypeAdapter(ENTITIES[name]).json_schema(schema_generator=_WithoutFieldTitles)
    models = {model.__name__: model for model in _models(Canonical)}
    for part in (schema, *schema.get("$defs", {}).values()):
        model = models.get(part.get("title", ""))
        for field, text in (_field_docstrings(model) if model else {}).items():
            part["properties"][field].setdefault("description", text)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:orderhub:oms_schema:{VERSION}:{name}",
        **schema,
    }


def files() -> dict[str, bytes]:
    """The bytes of each file, by its name: sorted keys, two spaces, one line end at the end."""
    option = orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    return {f"{name}.json": orjson.dumps(json_schema(name), option=option) for name in sorted(ENTITIES)}


def _models(base: type[Canonical]) -> Iterator[type[Canonical]]:
    for model in base.__subclasses__():
        if model.__module__.startswith("oms_schema."):
            yield model
        yield from _models(model)


def _field_docstrings(model: type[Canonical]) -> dict[str, str]:
    """The string under each field, as `FieldInfo` has no place for it unless every import pays for reading sources."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(tree, ast.ClassDef)
    found: dict[str, str] = {}
    for field, text in zip(tree.body, tree.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
            and isinstance(text.value.value, str)
        ):
            found[field.target.id] = inspect.cleandoc(text.value.value)
    return found


def write_schemas(folder: Path) -> tuple[str, ...]:
    """Write all files, or nothing when one would refuse what its present version accepts; returns those reasons."""
    new = files()
    present = {path.name: path.read_bytes() for path in folder.glob("*.json")}
    reasons = [f"{name} is gone" for name in sorted(present.keys() - new.keys())]
    for name in sorted(present.keys() & new.keys()):
        found = incompatibilities(orjson.loads(present[name]), orjson.loads(new[name]))
        reasons += [f"{name}: {reason}" for reason in found]
    if reasons:
        return tuple(reasons)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in new.items():
        (folder / name).write_bytes(content)
    return ()


def main(arguments: Sequence[str]) -> int:
    """The command line; 0 when written, 1 when refused."""
    parser = argparse.ArgumentParser(prog="python -m oms_schema.export", description=__doc__)
    parser.add_argument("--docs", action="store_true", help="write the page about the status machines")
    if parser.parse_args(arguments).docs:
        PAGE.parent.mkdir(parents=True, exist_ok=True)
        PAGE.write_text(status_machines_page(), encoding="utf-8")
        return 0
    reasons = write_schemas(FOLDER)
    if reasons:
        sys.stderr.write(
            "The schemas were not written: the published ones accept what the new ones refuse.\n"
            + "".join(f"  {reason}\n" for reason in reasons)
            + "Make the change an optional field, or delete the file first if this version was never released.\n"
        )
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
