"""A wrong mapping fails at load, with file, line, field and fix, and all errors at once. Each checker meets its fault here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from connectors.base import FieldSchema, FieldType, RecordSchema
from mappings.compiler import load_mapping, load_text
from mappings.errors import MappingError, MappingErrors

T = FieldType


def _schema(*, open_suffix: str | None = "__c") -> RecordSchema:
    fields = (
        FieldSchema("Id", T.ID, createable=False, updateable=False),
        FieldSchema("Name", T.STRING, length=80, required=True),
        FieldSchema("Stage", T.ENUM, values=frozenset({"Open", "Won", "Lost"}), values_closed=True),
        FieldSchema("Kind", T.ENUM, values=frozenset({"A", "B"})),
        FieldSchema("Currency", T.STRING, length=3),
        FieldSchema("Amount", T.DECIMAL),
        FieldSchema("Starts", T.DATETIME),
        FieldSchema("Secret", T.STRING, readable=False),
        FieldSchema("Total", T.DECIMAL, createable=False, updateable=False),
        FieldSchema("Parent", T.ID, updateable=False),
        FieldSchema("Later", T.STRING, createable=False),
        FieldSchema("Flag", T.BOOLEAN),
        FieldSchema("Place.City", T.STRING),
    )
    return RecordSchema("Deal", {f.path: f for f in fields}, open_suffix)


IN = """\
mapping: acme.order@1
record: Deal
entity: order
direction: in
owner: crm
fields:
  id: {path: Id, ref: {kind: order}}
  name: {path: Name}
  currency: {path: Currency}
"""
OUT = """\
mapping: acme.party@1
record: Deal
entity: party
direction: out
owner: crm
writes:
  Name: {from: name}
omits: {id: x, address: x, merged_into: x, deleted: x}
"""


def _errors(text: str, schema: RecordSchema | None = None) -> tuple[MappingError, ...]:
    with pytest.raises(MappingErrors) as caught:
        load_text(text, "deal.yaml", schema or _schema())
    return caught.value.errors


def test_the_files_the_faults_are_planted_in_are_right() -> None:
    assert load_text(IN, "deal.yaml", _schema()).direction == "in"
    assert load_text(OUT, "deal.yaml", _schema()).direction == "out"


IN_FAULTS = {
    "a vendor field that does not exist": (
        "  notes: {path: Nmae}",
        "fields.notes.path",
        "Deal has no field Nmae",
        "Name",
    ),
    "an undeclared custom field": (
        "  notes: {path: Notes__c}",
        "fields.notes.path",
        "no field Notes__c",
        "native_fields",
    ),
    "a canonical field that does not exist": ("  nmae: {path: Name}", "fields.nmae", "Order has no field nmae", "name"),
    "a canonical path below a leaf": (
        "  notes.text: {path: Stage}",
        "fields.notes.text",
        "nothing stands below",
        "Correct",
    ),
    "a list element that no key picks": (
        "  'parties[role=boss].party_id': {path: Parent, ref: {kind: party}}",
        "fields.parties[role=boss].party_id",
        "role=boss picks nothing",
        "Correct",
    ),
    "a key on what is no list": (
        "  'notes[role=agency].x': {path: Stage}",
        "fields.notes[role=agency].x",
        "no list",
        "Correct",
    ),
    "a field that cannot be read": ("  notes: {path: Secret}", "fields.notes", "cannot be read", "readable"),
    "no source": ("  notes: {max: 3}", "fields.notes", "one source, here is none", "exactly one"),
    "two sources": ("  notes: {path: Stage, const: x}", "fields.notes", "here is path and const", "exactly one"),
    "a setting on the way in": ("  notes: {setting: x}", "fields.notes.setting", "way out only", "const"),
    "an unknown transform": (
        "  notes: {path: Name, as: visible_txt}",
        "fields.notes.as",
        "no transform 'visible_txt'",
        "visible_text",
    ),
    "an unknown argument": (
        "  notes: {path: Currency, as: {visible_text: {bytes: x}}}",
        "fields.notes.as",
        "no argument bytes",
        "Correct the arguments",
    ),
    "an argument of the wrong type": (
        "  notes: {path: Currency, as: {visible_text: {four_byte: 4}}}",
        "fields.notes.as",
        "four_byte is 4, it has to be str",
        "Correct",
    ),
    "an argument that the transform refuses": (
        "  notes: {path: Currency, as: {visible_text: {four_byte: no way}}}",
        "fields.notes.as",
        "refuse or keep",
        "Correct",
    ),
    "a missing argument": (
        "  notes: {path: Currency, as: presence}",
        "fields.notes.as",
        "needs the argument present",
        "Correct",
    ),
    "a transform of another kind": (
        "  notes: {path: Name, as: micros}",
        "fields.notes.as",
        "micros takes decimal, text comes in",
        "kind of value",
    ),
    "too many values for a transform": (
        "  notes: {paths: [Stage, Kind], as: visible_text, lossy: x}",
        "fields.notes.as",
        "takes 1 values, 2 come in",
        "paths",
    ),
    "values that nothing joins": (
        "  notes: {paths: [Stage, Kind], lossy: x}",
        "fields.notes",
        "nothing joins them",
        "transform",
    ),
    "the wrong kind at the end": (
        "  notes: {path: Amount}",
        "fields.notes",
        "notes is text, decimal comes",
        "converts",
    ),
    "a wire date where text belongs": (
        "  notes: {path: Starts}",
        "fields.notes",
        "notes is text, wire_datetime comes",
        "converts",
    ),
    "a transform of the way out": (
        "  notes: {paths: [Name, Stage], as: gam_order_name}",
        "fields.notes.as",
        "way out only",
        "another",
    ),
    "any text into a closed list": ("  status: {path: Name}", "fields.status", "any text could come", "enum"),
    "a table that is not total": (
        "  status: {path: Stage, enum: {Open: draft, Won: booked}}",
        "fields.status.enum",
        "says nothing about Lost",
        "on_unknown",
    ),
    "a word the vendor never says": (
        "  status: {path: Stage, enum: {Open: draft, Won: booked, Lost: cancelled, Gone: closed}}",
        "fields.status.enum.Gone",
        "'Gone' never comes in",
        "Known: Lost, Open, Won",
    ),
    "a word the canonical field cannot hold": (
        "  status: {path: Stage, enum: {Open: drafty, Won: booked, Lost: cancelled}}",
        "fields.status.enum.Open",
        "cannot hold 'drafty'",
        "draft",
    ),
    "a default the canonical field cannot hold": (
        "  status: {path: Kind, enum: {A: draft, B: booked}, on_unknown: {default: drafty}, lossy: x}",
        "fields.status",
        "cannot hold 'drafty'",
        "draft",
    ),
    "words that become one": (
        "  status: {path: Stage, enum: {Open: draft, Won: booked, Lost: booked}}",
        "fields.status",
        "several words become booked",
        "lossy",
    ),
    "on_unknown without a table": (
        "  notes: {path: Stage, on_unknown: hold}",
        "fields.notes.on_unknown",
        "no `enum` table",
        "enum",
    ),
    "a table for numbers": ("  notes: {path: Amount, enum: {a: b}}", "fields.notes.enum", "takes words", "Remove"),
    "a reference made of a truth value": (
        "  notes: {path: Flag, ref: {kind: party}}",
        "fields.notes.ref",
        "text or a number",
        "Remove",
    ),
    "a default of the wrong kind": (
        "  notes: {path: Kind, default: 4}",
        "fields.notes.default",
        "notes is text, 4 is not",
        "default",
    ),
    "a default that its list does not have": (
        "  status: {path: Stage, enum: {Open: draft, Won: booked, Lost: cancelled}, default: x}",
        "fields.status.default",
        "cannot hold 'x'",
        "Use one of",
    ),
    "a required field with a default": (
        "  notes: {path: Kind, default: x, required: true}",
        "fields.notes.default",
        "no default",
        "two",
    ),
    "a length on a truth value": (
        "  terms.finality_days: {const: 3, max: 4}",
        "fields.terms.finality_days.max",
        "only texts",
        "Remove",
    ),
    "a field that cannot come back": (
        "  notes: {path: Kind, as: {presence: {present: a, absent: b}}}",
        "fields.notes",
        "presence has no inverse",
        "lossy",
    ),
    "one field restored twice": ("  notes: {path: Name}", "fields.notes", "also read into name", "derived"),
    "lossy and derived": (
        "  notes: {path: Kind, lossy: x, derived: y}",
        "fields.notes",
        "both lossy and derived",
        "Keep one",
    ),
    "a key that does not exist": (
        "  notes: {path: Kind, maxx: 4}",
        "fields.notes.maxx",
        "nothing of this name",
        "spelling",
    ),
    "a value that does not fit": ("  notes: {path: Kind, max: -1}", "fields.notes.max", "-1 does not fit", "reference"),
    "an owner nobody knows": (
        "  notes: {path: Kind, owner: boss}",
        "fields.notes.owner",
        "'boss' does not fit",
        "reference",
    ),
    "the same field twice": ("  name: {path: Kind}", "fields.name", "stands twice, first in line 8", "Remove"),
    "a YAML word that is no text": (
        "  notes: {path: Kind, enum: {no: x}}",
        "fields.notes.enum",
        "'no' is read as False",
        "quotes",
    ),
    "a YAML number that is no literal": ("  notes: {const: 1.5}", "fields.notes.const", "read as a float", "quotes"),
    "a YAML date that is none": (
        "  notes: {const: 2020-13-45}",
        "fields.notes.const",
        "'2020-13-45' is no timestamp",
        "in quotes",
    ),
    "a YAML tag on a word": ("  notes: {const: !money x}", "fields.notes.const", "is no !money", "in quotes"),
    "a YAML truth value that is none": ("  notes: {const: !!bool x}", "fields.notes.const", "is no bool", "in quotes"),
    "a YAML tag on a table": ("  notes: !odd {path: Kind}", "fields.notes", "the tag !odd means nothing", "Remove"),
    "a YAML merge key": (
        "  notes: {path: Kind, <<: {owner: erp}}",
        "fields.notes",
        "merge keys (<<) are not read",
        "Write out",
    ),
    "a key that is a list": ("  [notes, number]: {path: Kind}", "fields", "a key is a list or a table", "one word"),
    "a table that holds itself": ("  notes: &n {path: Kind, as: *n}", "fields.notes.as", "holds itself", "alias"),
    "a list that holds itself": ("  notes: {path: Kind, as: &n [*n]}", "fields.notes.as[0]", "holds itself", "alias"),
    "a number beyond 64 bits": (
        "  terms.finality_days: {const: 9223372036854775808}",
        "fields.terms.finality_days.const",
        "larger number than any",
        "smaller",
    ),
    "half of a character": (
        '  notes: {path: Kind, why: "\\ud83d"}',
        "fields.notes.why",
        "half of a character",
        "whole character",
    ),
    "a constant that the canonical field refuses": (
        "  terms.finality_days: {const: -3}",
        "fields.terms.finality_days.const",
        "cannot hold -3: Input should be greater than or equal to 0",
        "Correct the const",
    ),
    "a default that the canonical field refuses": (
        "  terms.tolerance_ppm: {const: 0, default: 2000000}",
        "fields.terms.tolerance_ppm.default",
        "cannot hold 2000000",
        "Correct the default",
    ),
    "a constant outside the list": ("  status: {const: bokked}", "fields.status", "cannot hold 'bokked'", "booked"),
    "an empty reason": ("  notes: {path: Kind, lossy: ' '}", "fields.notes.lossy", "say why, in words", "reference"),
    "an object and a part of it": (
        "  purchase_order: {path: Place}\n  purchase_order.number: {path: Kind}",
        "fields.purchase_order.number",
        "made twice, also as purchase_order",
        "Remove",
    ),
    "the key of a list's element": (
        "  'parties[role=agency].role': {const: brand}",
        "fields.parties[role=agency].role",
        "is the key that picks this element",
        "Remove",
    ),
    "a YAML date": ("  notes: {const: 2020-01-01}", "fields.notes.const", "read as a date", "quotes"),
}


@pytest.mark.parametrize("fault", IN_FAULTS)
def test_a_fault_in_a_field_is_found_where_it_stands(fault: str) -> None:
    line, field, wrong, fix = IN_FAULTS[fault]
    errors = _errors(IN + line + "\n")
    assert {e.line for e in errors} == {10 + line.count("\n")}, errors
    found = [e for e in errors if e.field.startswith(field) and wrong in e.wrong]
    assert found, errors
    assert fix in found[0].fix
    assert str(found[0]).startswith(f"deal.yaml:{found[0].line}: fields")


OUT_FAULTS = {
    "a read-only field": ("  Total: {const: 1}", "writes.Total", "read-only", "Remove"),
    "a field fixed at creation": ("  Parent: {from: merged_into}", "writes.Parent", "cannot be changed", "create_only"),
    "a field that creation refuses": ("  Later: {const: x}", "writes.Later", "cannot be set when", "operations"),
    "a length beyond the vendor's": (
        "  Currency: {from: address.country, max: 9}",
        "writes.Currency.max",
        "at most 3",
        "max: 3",
    ),
    "a constant outside the list": ("  Stage: {const: Opn}", "writes.Stage", "cannot hold 'Opn'", "Lost, Open, Won"),
    "any text into a closed list": ("  Stage: {from: address.text}", "writes.Stage", "any text could come", "enum"),
    "a table that cannot be total": (
        "  Stage: {from: address.text, enum: {a: Open}}",
        "writes.Stage.enum",
        "cannot be total",
        "on_unknown",
    ),
    "a target word outside the list": (
        "  Stage: {from: address.text, enum: {a: Opn}, on_unknown: reject}",
        "writes.Stage.enum.a",
        "cannot hold 'Opn'",
        "Use one of",
    ),
    "a constant longer than the vendor's field": (
        "  Currency: {const: Dollars}",
        "writes.Currency.const",
        "at most 3 characters, 'Dollars' has 7",
        "shorter",
    ),
    "a default longer than the vendor's field": (
        "  Currency: {from: address.country, default: Dollars}",
        "writes.Currency.default",
        "at most 3 characters",
        "shorter",
    ),
    "the wrong kind": ("  Flag: {from: address.text}", "writes.Flag", "is boolean, text comes", "converts"),
    "required and cleared": (
        "  Kind: {from: address.text, required: true, absent: clear}",
        "writes.Kind.absent",
        "never cleared",
        "Remove",
    ),
    "two sources": ("  Kind: {from: address.text, setting: x}", "writes.Kind", "from and setting", "exactly one"),
    "a parent and its child": (
        "  Place.City: {const: x}\n  Place: {const: x}",
        "writes.Place",
        "object, enum or text comes",
        "converts",
    ),
    "an unknown canonical field": (
        "  Kind: {from: adress.text}",
        "writes.Kind.from",
        "Party has no field adress",
        "address",
    ),
}


@pytest.mark.parametrize("fault", OUT_FAULTS)
def test_a_fault_in_a_write_is_found_where_it_stands(fault: str) -> None:
    line, field, wrong, fix = OUT_FAULTS[fault]
    text = OUT.replace("  Name: {from: name}\n", f"  Name: {{from: name}}\n{line}\n")
    found = [e for e in _errors(text) if e.field.startswith(field) and wrong in e.wrong]
    assert found, _errors(text)
    assert found[0].line in (8, 9)
    assert fix in found[0].fix


FILE_FAULTS = {
    "an unknown entity": (
        IN.replace("entity: order", "entity: ordre"),
        3,
        "entity",
        "no canonical entity 'ordre'",
        "order",
    ),
    "another record": (IN.replace("record: Deal", "record: Lead"), 2, "record", "maps Lead", "record: Deal"),
    "no name": (IN.replace("acme.order@1", "order"), 1, "mapping", "'order' does not fit", "reference"),
    "a missing key": (IN.replace("owner: crm\n", ""), 1, "owner", "missing", "Add `owner:`"),
    "a required canonical field unread": (
        IN.replace("  currency: {path: Currency}\n", ""),
        6,
        "fields",
        "needs currency",
        "Add `currency:`",
    ),
    "a required vendor field unwritten": (
        OUT.replace("  Name: {from: name}", "  Kind: {from: name}"),
        6,
        "writes",
        "requires Deal.Name",
        "Add `Name:`",
    ),
    "a canonical field forgotten": (OUT.replace("id: x, ", ""), 6, "writes", "canonical id is neither", "`omits`"),
    "an omission of nothing": (OUT.replace("{id: x", "{idd: x, id: x"), 8, "omits.idd", "has no idd", "Remove"),
    "an omission of what is written": (
        OUT.replace("{id: x", "{name: x, id: x"),
        8,
        "omits.name",
        "written all the same",
        "Remove",
    ),
    "an omission without a reason": (OUT.replace("id: x", "id: ''"), 8, "omits.id", "say why", "reference"),
    "a character that YAML forbids": (IN + "# \x00\n", 10, "(file)", "not YAML", "Correct"),
    "more nesting than anybody writes": (IN + f"omits: {'[' * 5_000}{']' * 5_000}\n", 1, "(file)", "nested", "shipped"),
    "aliases that make much out of little": (
        "".join(f"a{n}: &a{n} [{', '.join(f'*a{n - 1}' for _ in range(9) if n) or 'x'}]\n" for n in range(9)) + IN,
        1,
        "(file)",
        "more than 100,000 values",
        "shipped",
    ),
    "writes in a mapping that reads": (IN + "writes: {Name: {from: name}}\n", 10, "writes", "writes nothing", "both"),
    "fields in a mapping that writes": (OUT + "fields: {name: {path: Name}}\n", 9, "fields", "reads nothing", "writes"),
    "a custom field without the suffix": (
        IN + "native_fields: {Extra: {type: string}}\n",
        10,
        "native_fields.Extra",
        "end in __c",
        "name",
    ),
    "a declaration that contradicts the vendor": (
        IN + "native_fields: {Amount: {type: string}}\n",
        10,
        "native_fields.Amount",
        "is decimal at the vendor",
        "Remove",
    ),
    "no YAML": ("mapping: [", 1, "(file)", "not YAML", "Correct"),
    "no mapping": ("- a\n", 1, "(file)", "no mapping", "Begin"),
}


@pytest.mark.parametrize("fault", FILE_FAULTS)
def test_a_fault_of_the_file_is_found_where_it_stands(fault: str) -> None:
    text, line, field, wrong, fix = FILE_FAULTS[fault]
    found = [e for e in _errors(text) if e.field == field and wrong in e.wrong]
    assert found, _errors(text)
    assert found[0].line == line
    assert fix in found[0].fix


def test_a_closed_vendor_takes_no_declared_fields() -> None:
    text = IN + "native_fields: {Extra__c: {type: string}}\n"
    assert "closed list" in _errors(text, _schema(open_suffix=None))[0].wrong


def test_all_faults_are_told_at_once_in_file_order() -> None:
    lines = [
        entry[0]
        for name, entry in IN_FAULTS.items()
        if name.startswith(("a vendor", "an unknown t", "any text", "no source"))
    ]
    renamed = [
        line.replace("notes:", f"{name}:", 1)
        for line, name in zip(lines, ("number", "notes", "status", "terms.cap"), strict=True)
    ]
    errors = _errors(IN + "\n".join(renamed) + "\n")
    assert [e.line for e in errors] == [10, 11, 12, 13]
    assert len({e.field for e in errors}) == 4
    assert all(e.file == "deal.yaml" and e.wrong and e.fix for e in errors)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        (
            IN + "  notes: {path: Kind, maxx: 4}\n  number: {path: Nmae}\n",
            ["fields.notes.maxx", "fields.number.path"],
        ),
        (IN.replace("owner: crm\n", "") + "  number: {path: Nmae}\n", ["owner", "fields.number.path"]),
        (IN.replace("acme.order@1", "order") + "  number: {path: Nmae}\n", ["mapping", "fields.number.path"]),
        (IN.replace("order\ndirection", "ordre\ndirection") + "  number: {path: Nmae}\n", ["entity", "fields.number.path"]),
        (IN.replace("record: Deal", "record: Dael") + "  nmber: {path: Name}\n", ["record", "fields.nmber"]),
        (
            IN + "  nmber: {path: Nmae, as: nope}\n",
            ["fields.nmber", "fields.nmber.as", "fields.nmber.path"],
        ),
        (IN + "  notes: {path: Kind, as: [nope, nor_this]}\n", ["fields.notes.as.0", "fields.notes.as.1"]),
        (IN + "  notes: {path: Odd__c}\n  number: {path: X__c}\nnative_fields: {Odd__c: {type: txt}}\n",
         ["fields.number.path", "native_fields.Odd__c.type"]),
    ],
    ids=["shape and path", "owner and path", "name and path", "entity and path", "record and path", "one entry", "two transforms",
         "declared wrong"],
)  # fmt: skip
def test_faults_of_different_kinds_are_told_at_once(text: str, fields: list[str]) -> None:
    assert [e.field for e in _errors(text)] == fields


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        ("Name: {from: name, as: nope}", "writes.Name.as"),
        ("Name: {from: name, max: 999}", "writes.Name.max"),
        ("Name: {from: name, maxx: 9}", "writes.Name.maxx"),
        ("Name: {from: [name, name]}", "writes.Name"),
    ],
)
def test_one_fault_is_told_once_and_not_again_by_what_follows_from_it(entry: str, field: str) -> None:
    """A wrong entry is there all the same: nothing is forgotten, and what the vendor requires is written."""
    (error,) = _errors(OUT.replace("Name: {from: name}", entry))
    assert error.field == field


def test_a_direction_that_writes_back_checks_that_it_can() -> None:
    text = IN.replace("direction: in", "direction: both")
    found = [e for e in _errors(text) if "read-only" in e.wrong]
    assert [e.field for e in found] == ["fields.id.path"]


# ---------------------------------------------------------------- files and overlays
def test_a_file_that_is_not_utf8_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "order.v1.yaml"
    path.write_bytes(IN.encode() + b"  notes: {const: \xff}\n")
    with pytest.raises(MappingErrors) as caught:
        load_mapping(path, _schema())
    (error,) = caught.value.errors
    assert (error.file, error.line) == (str(path), 10)
    assert "UTF-8" in error.wrong


def test_a_missing_file_is_an_error_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(MappingErrors) as caught:
        load_mapping(tmp_path / "none.yaml", _schema())
    assert "cannot be read" in caught.value.errors[0].wrong


def test_an_overlay_states_only_its_differences() -> None:
    overlay = """\
base: acme.order@1
native_fields:
  Buyer_Ref__c: {type: string, length: 40}
fields:
  purchase_order.number: {path: Buyer_Ref__c, owner: erp}
  name: {max: 10}
"""
    mapping = load_text(IN, "deal.yaml", _schema(), [(overlay, "mine.yaml")])
    assert mapping.native_fields == ("Id", "Name", "Currency", "Buyer_Ref__c")
    assert mapping.owner["purchase_order.number"] == "erp"
    assert mapping.content_hash != load_text(IN, "deal.yaml", _schema()).content_hash
    taken_away = load_text(
        IN + "  notes: {path: Kind}\n", "deal.yaml", _schema(), [("base: acme.order@1\nfields: {notes: null}\n", "o")]
    )
    assert taken_away.native_path("notes") is None


@pytest.mark.parametrize(
    ("overlay", "line", "field", "wrong"),
    [
        ("fields: {name: {max: 3}}\n", 1, "base", "has to name"),
        ("\nbase: acme.order@2\n", 2, "base", "written for acme.order@2, the base is acme.order@1"),
        ("base: acme.order@1\nentity: line\n", 2, "entity", "cannot change it"),
        ("base: acme.order@1\nfields:\n  notes: null\n", 3, "fields.notes", "takes away"),
        ("base: acme.order@1\nfields:\n  name: {path: Nmae}\n", 3, "fields.name.path", "no field Nmae"),
        ("base: acme.order@1\nfields:\n  name:\n    as: what\n", 4, "fields.name.as", "no transform"),
        ("base: [\n", 2, "(file)", "not YAML"),
    ],
)
def test_a_fault_of_an_overlay_is_told_in_the_overlay(overlay: str, line: int, field: str, wrong: str) -> None:
    with pytest.raises(MappingErrors) as caught:
        load_text(IN, "deal.yaml", _schema(), [(overlay, "mine.yaml")])
    found = [e for e in caught.value.errors if e.field == field and wrong in e.wrong]
    assert found, caught.value.errors
    assert (found[0].file, found[0].line) == ("mine.yaml", line)


def test_the_same_content_is_compiled_once() -> None:
    assert load_text(IN, "a.yaml", _schema()) is load_text(IN + "# a remark\n", "b.yaml", _schema())
    other = RecordSchema("Deal", {**_schema().fields, "Extra": FieldSchema("Extra", T.STRING)}, "__c")
    assert load_text(IN, "a.yaml", other) is not load_text(IN, "a.yaml", _schema())


def test_shipped_mappings_load_and_say_who_owns_what(shipped: Mapping[str, object]) -> None:
    assert set(shipped) == {
        "salesforce.party", "salesforce.order", "salesforce.line", "salesforce.order_projection",
        "salesforce.line_projection", "gam.party", "gam.order", "gam.line", "gam.order_observation", "gam.line_observation",
    }  # fmt: skip
