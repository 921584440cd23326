"""The register of named transforms: the only code a mapping file can call, always with literal arguments.

A transform is a factory. The compiler calls it once with the literals of the file, and it answers with a `Pair` (a pure
function of values and, where one exists, its inverse) or with a `Resolving` (a function that also asks the context).
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mappings.context import Context, Lookup
from mappings.kinds import Kind, words
from oms_schema.problems import Reason


class Refused(ValueError):  # noqa: N818 - the record is refused; it is not the program that errs
    """A transform cannot map this value: `rule` completes "…, but {rule}.", `fix` is an imperative clause or empty."""

    def __init__(self, code: str, rule: str, *, reason: Reason = Reason.VALIDATION, fix: str = "") -> None:
        self.code = code
        self.rule = rule
        self.reason = reason
        self.fix = fix
        super().__init__(f"{code}: {rule}")


class Loss(NamedTuple):
    """One value that the vendor cannot hold as it is, and why."""

    path: str
    value: str
    why: str


@dataclass(frozen=True, slots=True)
class Quick:
    """The answer of a transform as an expression, which generated code holds instead of a call.

    `{0}`, `{1}` … are the values, `{call}` is the call itself, for all that the expression does not answer; other names are
    those of `names`, and `context` is the context of one that asks it. For a value that `forward` refuses it comes to
    `{call}`, or fails.
    """

    expression: str
    names: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pair:
    """A pure function and its inverse. `outputs`: the only values it can give, where that is a closed set of words."""

    forward: Callable[..., Any]
    inverse: Callable[..., Any] | None = None
    outputs: frozenset[str] | None = None
    quick: Quick | None = None


@dataclass(frozen=True, slots=True)
class Resolving:
    """A transform of the way out that asks the context.

    `forward(*values, context)`; `lookups(*values)` names every look-up that `forward` may ask, before it asks;
    `losses(*values, context)` lists what `forward` leaves out; `asked(*values)` counts what it was asked to express.
    `shared` is applied to the last value before `forward` sees it, `shared(value, context)`; transforms of one mapping
    that name the same function for the same field let it run once for each record.
    """

    forward: Callable[..., Any]
    lookups: Callable[..., frozenset[Lookup]] | None = None
    losses: Callable[..., tuple[Loss, ...]] | None = None
    asked: Callable[..., int] | None = None
    shared: Callable[[Any, Context], Any] | None = None
    quick: Quick | None = None


@dataclass(frozen=True, slots=True)
class Transform:
    """A registered transform: the kinds of its inputs (one entry for each), of its output, and its factory.

    `absent`: it is also called when a value is absent (None). `lossy`: why its inverse cannot bring everything back.
    """

    name: str
    takes: tuple[frozenset[Kind], ...]
    gives: frozenset[Kind]
    factory: Callable[..., Pair | Resolving]
    absent: bool
    lossy: str | None
    purpose: str

    def bind(self, arguments: Mapping[str, Any]) -> Pair | Resolving:
        """The functions for these literals; ValueError says which argument is missing, unknown or of the wrong type."""
        parameters = inspect.signature(self.factory).parameters
        unknown = sorted(set(arguments) - set(parameters))
        if unknown:
            known = ", ".join(parameters) or "none"
            raise ValueError(f"{self.name} has no argument {', '.join(unknown)}; its arguments are: {known}")
        missing = [n for n, p in parameters.items() if p.default is inspect.Parameter.empty and n not in arguments]
        if missing:
            raise ValueError(f"{self.name} needs the argument {', '.join(missing)}")
        for name, value in arguments.items():
            expected = str(parameters[name].annotation)
            if not _is_a(value, expected):
                raise ValueError(f"{self.name}: the argument {name} is {value!r}, it has to be {expected}")
        return self.factory(**arguments)


_CHECKS: Mapping[str, Callable[[Any], bool]] = {
    "str": lambda v: isinstance(v, str),
    "int": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "bool": lambda v: isinstance(v, bool),
    "Mapping[str, str]": lambda v: (
        isinstance(v, Mapping) and all(isinstance(k, str) and isinstance(x, str) for k, x in v.items())
    ),
    "Sequence[str]": lambda v: isinstance(v, (list, tuple)) and all(isinstance(x, str) for x in v),
}


def _is_a(value: Any, expected: str) -> bool:
    return _CHECKS[expected](value)


_TRANSFORMS: dict[str, Transform] = {}
Factory = Callable[..., Pair | Resolving]
Kinds = Kind | frozenset[Kind]


def transform(
    name: str, *, takes: Sequence[Kinds] | Kinds, gives: Kinds, absent: bool = False, lossy: str | None = None
) -> Callable[[Factory], Factory]:
    """Register a factory under `name`. Its parameters are annotated `str`, `int`, `bool`, `Mapping[str, str]` or
    `Sequence[str]`, the only literals a file can hold. ValueError when the name is taken."""
    inputs = (takes,) if isinstance(takes, (Kind, frozenset)) else tuple(takes)

    def enter(factory: Factory) -> Factory:
        if name in _TRANSFORMS:
            raise ValueError(f"there is already a transform named {name}")
        for parameter in inspect.signature(factory).parameters.values():
            if str(parameter.annotation) not in _CHECKS:
                raise ValueError(f"{name}: a literal argument cannot be annotated {parameter.annotation}")
        purpose = " ".join(inspect.cleandoc(factory.__doc__ or "").split("\n\n", 1)[0].split())
        _TRANSFORMS[name] = Transform(
            name, tuple(_set(k) for k in inputs), _set(gives), factory, absent, lossy, purpose
        )
        return factory

    return enter


def _set(kinds: Kinds) -> frozenset[Kind]:
    return frozenset({kinds}) if isinstance(kinds, Kind) else frozenset(kinds)


def known_transforms() -> Mapping[str, Transform]:
    """Every registered transform by name, the shipped vendors' included."""
    for module in ("mappings.transforms", "mappings.salesforce.transforms", "mappings.gam.transforms"):
        importlib.import_module(module)
    return dict(sorted(_TRANSFORMS.items()))


def settings_of(context: Context, name: str) -> str:
    """A setting of the connection that a transform needs; Refused when it is not set."""
    value = context.setting(name)
    if value is None:
        raise Refused(
            "setting_missing",
            f"it needs the mapping setting {name}, which this connection does not have",
            reason=Reason.MAPPING,
            fix=f"set mapping_settings.{name} of this connection in the configuration",
        )
    return value


def transform_table() -> str:
    """The transforms as the Markdown table of the reference page, which a test compares."""
    rows = ["| transform | takes → gives | arguments | what it does |", "|---|---|---|---|"]
    for name, found in known_transforms().items():
        takes = ", ".join(words(kinds) for kinds in found.takes)
        arguments = "<br>".join(_shown(p) for p in inspect.signature(found.factory).parameters.values())
        rows.append(f"| `{name}` | {takes} → {words(found.gives)} | {arguments} | {found.purpose} |")
    return "\n".join(rows)


_WORDS = {
    "str": "text",
    "int": "number",
    "bool": "true or false",
    "Mapping[str, str]": "table",
    "Sequence[str]": "list",
}


def _shown(parameter: inspect.Parameter) -> str:
    kind = _WORDS[str(parameter.annotation)]
    default = "" if parameter.default is inspect.Parameter.empty else f", default `{parameter.default}`"
    return f"`{parameter.name}` ({kind}{default})"
