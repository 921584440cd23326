"""What of a line's targeting Ad Manager can express: places by Geo_Target, people by custom key-values, the rest by note.

Ad Manager ors the places of one list, while the criteria of a canonical line are and-ed [S: GeoTargeting]. So the
narrowest kind of place that resolves is targeted, its country is the scope in which it was looked up, and the other
kinds are listed as losses rather than widening the audience. Custom criteria take the three levels that the vendor
prescribes: OR of one AND of criteria [S: Targeting.customTargeting].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import chain, repeat
from operator import itemgetter
from typing import Any, NamedTuple

from mappings.context import Context, Lookup, Names
from mappings.memory import remembered
from mappings.registry import Loss
from oms_schema.targeting import Criterion, Dimension, Operator

_NARROWEST_FIRST = (
    Dimension.POSTAL_CODE,
    Dimension.CITY,
    Dimension.ELECTORAL_DISTRICT,
    Dimension.METRO,
    Dimension.REGION,
)
_KEY_TABLE = "CustomTargetingKey"
_VALUE_TABLE = "CustomTargetingValue"
_INCLUDE, _COUNTRY = Operator.INCLUDE, Dimension.COUNTRY  # an enum's member as its attribute takes 90 ns


Asked = tuple[Dimension, Operator, tuple[str, ...]]
"""A criterion as plain values, which hash and compare without Python code of a model."""


class _Lost(NamedTuple):
    """Values of one criterion that are lost for one reason."""

    asked: Asked
    values: Sequence[str]
    why: str


_new_loss: Callable[[tuple[str, str, str]], Loss] = partial(tuple.__new__, Loss)
"""As `Loss._make`, without a call of Python for each of thousands of postal codes."""


@dataclass(slots=True)
class Expressed:
    """The parts of a targeting that Ad Manager can hold, in its form, and the values it cannot. Lines of one batch share it:
    it is read, never changed."""

    geo: dict[str, Any]
    """GeoTargeting."""
    custom: dict[str, Any] | None
    """CustomCriteriaSet."""
    lost: Sequence[_Lost]
    listed: str
    """The losses as text, for the notes."""
    whole: dict[str, Any] | None = None
    """Targeting, once it was asked for; `root` is the ad unit it stands below."""
    root: str = ""
    _losses: tuple[Loss, ...] | None = None

    @property
    def losses(self) -> tuple[Loss, ...]:
        """One for each value that cannot be expressed."""
        if self._losses is None:
            each = (
                zip(repeat(f"targeting.{dimension}.{operator}"), values, repeat(why))
                for (dimension, operator, _), values, why in self.lost
            )
            self._losses = tuple(map(_new_loss, chain.from_iterable(each)))
        return self._losses

    def below(self, root: str) -> dict[str, Any]:
        """Targeting below an ad unit of the network."""
        if self.whole is None or self.root != root:
            self.root = root
            self.whole = {
                "geoTargeting": self.geo,
                "inventoryTargeting": _inventory(root),
                "customTargeting": self.custom,
            }
        return self.whole


@lru_cache(maxsize=64)
def _inventory(root: str) -> dict[str, Any]:
    return {"targetedAdUnits": [{"adUnitId": root, "includeDescendants": True}]}


_fields: Callable[[Mapping[str, Any]], Asked] = itemgetter("dimension", "operator", "values")
_wanted = remembered(65_536)(Lookup)
"""Look-ups by their words: the same places and values come again with every line."""


class _Places(NamedTuple):
    """The values of one criterion that the look-up knew, the vendor's Locations, and the values that it did not know."""

    asked: Asked
    values: Sequence[str]
    locations: list[dict[str, Any]]
    lost: Sequence[_Lost]


_Custom = tuple[dict[str, Any] | None, Sequence[_Lost]]
"""One criterion as the vendor's CustomCriteria, None when the network knows none of it, and the values it does not know."""


@dataclass(slots=True)
class _WorkedOut:
    """What one batch's names made of targetings so far, of whole ones and of single criteria.

    `seen` finds a targeting by its identity: lines that were read in this process share the object, and taking all its
    criteria out of memory again costs more than all the rest of writing it.
    """

    seen: dict[int, tuple[Sequence[Criterion], Expressed]] = field(default_factory=dict)
    wholes: dict[tuple[Asked, ...], Expressed] = field(default_factory=dict)
    customs: dict[Asked, _Custom] = field(default_factory=dict)
    places: dict[tuple[Asked, str], _Places] = field(default_factory=dict)
    keys: dict[str, str | None] = field(default_factory=dict)
    """Ids of targeting keys by name."""


class Expression:
    """How dimensions are expressed: `geo` by type of Geo_Target (`region: REGION`), `custom` by targeting key."""

    def __init__(self, geo: Mapping[str, str], custom: Mapping[str, str]) -> None:
        self._geo = {Dimension(d): f"Geo_Target:{place}" for d, place in geo.items()}
        self._custom = {Dimension(d): key for d, key in custom.items()}
        self.shared = self.express
        """`express` as one object, by which transforms know that they share its work."""

    def lookups(self, criteria: Sequence[Criterion] | None) -> frozenset[Lookup]:
        """Every name that `express` may ask for."""
        all_asked = [_fields(criterion.__dict__) for criterion in criteria or ()]
        scope = _scope(all_asked)
        wanted: set[Lookup] = set()
        for dimension, _, values in all_asked:
            table, key = self._geo.get(dimension), self._custom.get(dimension)
            if table is not None:
                place_scope = "" if dimension is _COUNTRY else scope
                wanted.update([_wanted(table, value, place_scope) for value in values])
            elif key is not None:
                wanted.add(_wanted(_KEY_TABLE, key))
                wanted.update([_wanted(_VALUE_TABLE, value, key) for value in values])
        return frozenset(wanted)

    def express(self, criteria: Sequence[Criterion] | None, context: Context) -> Expressed:
        """Ids for what can be expressed, one Loss for each value that cannot; worked out once for a batch."""
        names = context.names
        held: _WorkedOut | None = names.worked_out.get(self)
        if held is None:
            held = names.worked_out[self] = _WorkedOut()
        if criteria is None:
            criteria = ()
        seen = held.seen.get(id(criteria))
        if seen is not None and seen[0] is criteria:
            return seen[1]
        whole = tuple([_fields(criterion.__dict__) for criterion in criteria])
        expressed = held.wholes.get(whole)
        if expressed is None:
            expressed = held.wholes[whole] = self._expressed(whole, held, names)
        held.seen[id(criteria)] = criteria, expressed
        return expressed

    def _expressed(self, whole: tuple[Asked, ...], held: _WorkedOut, names: Names) -> Expressed:
        lost: list[_Lost] = []
        custom: list[dict[str, Any]] = []
        places: list[Asked] = []
        customs, by_key, by_place = held.customs, self._custom, self._geo
        for asked in whole:
            dimension = asked[0]
            if dimension in by_key:
                made, unknown = customs.get(asked) or self._custom_criterion(asked, held, names)
                if made is not None:
                    custom.append(made)
                if unknown:
                    lost += unknown
            elif dimension in by_place:
                places.append(asked)
            else:
                lost.append(_Lost(asked, asked[2], f"Ad Manager has no targeting by {_word(dimension)}"))
        targeted, excluded = self._places(places, held, names, lost) if places else ([], [])
        if lost:
            lost = [each for each in lost if each.values]
        geo = {"targetedLocations": targeted, "excludedLocations": excluded}
        return Expressed(geo, _custom_set(custom) if custom else None, lost, _listed(lost) if lost else "")

    def _custom_criterion(self, asked: Asked, held: _WorkedOut, names: Names) -> _Custom:
        dimension, operator, values = asked
        key, keys = self._custom[dimension], held.keys
        if key not in keys:
            (keys[key],) = names.of(_KEY_TABLE, "", (key,))
        key_id = keys[key]
        made: dict[str, Any] | None = None
        lost: Sequence[_Lost] = ()
        if key_id is None:
            lost = (_Lost(asked, values, f"the network has no targeting key {key}"),)
        else:
            found = names.of(_VALUE_TABLE, key, values)
            ids = dict.fromkeys(found)
            if None in ids:
                del ids[None]
                unknown = [v for v, value_id in zip(values, found, strict=True) if value_id is None]
                lost = (_Lost(asked, unknown, f"the targeting key {key} has no such value"),)
            if ids:
                made = {
                    "xsi_type": "CustomCriteria",
                    "keyId": key_id,
                    "valueIds": list(ids),
                    "operator": "IS" if operator is _INCLUDE else "IS_NOT",
                }
        worked_out = held.customs[asked] = made, lost
        return worked_out

    def _places(
        self, criteria: Sequence[Asked], held: _WorkedOut, names: Names, lost: list[_Lost]
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        if len(criteria) == 1 and criteria[0][0] is _COUNTRY and criteria[0][1] is _INCLUDE:  # most lines
            (asked,) = criteria
            known = held.places.get((asked, "")) or self._looked_up(asked, "", held, names)
            lost += known.lost
            return known.locations, []
        scope = _scope(criteria)
        included: dict[Dimension, _Places] = {}
        excluded: list[_Places] = []
        for asked in criteria:
            dimension = asked[0]
            place_scope = "" if dimension is _COUNTRY else scope
            known = held.places.get((asked, place_scope)) or self._looked_up(asked, place_scope, held, names)
            lost += known.lost
            if asked[1] is _INCLUDE:
                included[dimension] = known
            else:
                excluded.append(known)
        narrow = _narrowest(included) if len(included) > 1 or _COUNTRY not in included else None
        targeted = _targeted(included, narrow, lost)
        if not excluded:
            return targeted, []
        inside = not targeted or (bool(scope) and narrow is None)
        return targeted, _excluded(excluded, inside, lost)

    def _looked_up(self, asked: Asked, scope: str, held: _WorkedOut, names: Names) -> _Places:
        values: Sequence[str] = asked[2]
        lost: Sequence[_Lost] = ()
        found = names.of(self._geo[asked[0]], scope, values)
        ids = dict.fromkeys(found)
        if None in ids:
            del ids[None]
            unknown = [v for v, place in zip(values, found, strict=True) if place is None]
            lost = (_Lost(asked, unknown, "Geo_Target knows no such place, or several"),)
            values = [v for v, place in zip(values, found, strict=True) if place is not None]
        locations: list[dict[str, Any]] = [{"id": place} for place in ids]
        worked_out = held.places[asked, scope] = _Places(asked, values, locations, lost)
        return worked_out


_ONLY_NARROWER = {
    dimension: f"Ad Manager ors places, so only the narrower ones ({dimension.replace('_', ' ')}) are targeted"
    for dimension in _NARROWEST_FIRST
}


def _narrowest(included: Mapping[Dimension, _Places]) -> Dimension | None:
    """The narrowest kind of place below a country that resolved."""
    for dimension in _NARROWEST_FIRST:
        places = included.get(dimension)
        if places is not None and places.locations:
            return dimension
    return None


def _targeted(
    included: Mapping[Dimension, _Places], narrow: Dimension | None, lost: list[_Lost]
) -> list[dict[str, Any]]:
    """The places to target: the narrowest kind that resolved, else the countries. What the others knew becomes a loss."""
    if narrow is None:
        countries = included.get(_COUNTRY)
        return countries.locations if countries is not None else []
    for dimension, places in included.items():
        if dimension is narrow:
            continue
        if dimension is not _COUNTRY:
            why = _ONLY_NARROWER[narrow]
        elif len(places.asked[2]) > 1:
            why = f"the places of kind {_word(narrow)} stand for their countries, and several countries were asked for"
        else:
            continue  # it was the scope of the look-up, so the narrower places lie in it
        lost.append(_Lost(places.asked, places.values, why))
    return included[narrow].locations


def _excluded(criteria: Sequence[_Places], inside: bool, lost: list[_Lost]) -> list[dict[str, Any]]:
    """The places that can be excluded. Ad Manager refuses postal codes there, and places that do not lie in a targeted one
    [S: GeoTargetingError.POSTAL_CODES_CANNOT_BE_EXCLUDED, GenericTargetingError.CONFLICTING_INCLUSION_OR_EXCLUSION_OF_
    SIBLINGS]; which state or metro a place lies in is not known here, so only exclusions from one whole country are sent.
    """
    locations: dict[str, dict[str, Any]] = {}
    for places in criteria:
        if places.asked[0] is Dimension.POSTAL_CODE:
            lost.append(_Lost(places.asked, places.values, "Ad Manager cannot exclude postal codes"))
        elif not inside:
            why = "Ad Manager excludes only inside a targeted place, and these are not known to lie in one"
            lost.append(_Lost(places.asked, places.values, why))
        else:
            locations.update({each["id"]: each for each in places.locations})
    return list(locations.values())


def _scope(criteria: Sequence[Asked]) -> str:
    """The one country that places are looked up in, empty when the line names none or several."""
    for dimension, operator, values in criteria:
        if dimension is _COUNTRY and operator is _INCLUDE:
            return values[0] if len(values) == 1 else ""
    return ""


def _custom_set(criteria: list[dict[str, Any]]) -> dict[str, Any]:
    tree = {"xsi_type": "CustomCriteriaSet", "logicalOperator": "AND", "children": criteria}
    return {"xsi_type": "CustomCriteriaSet", "logicalOperator": "OR", "children": [tree]}


def _listed(lost: Sequence[_Lost]) -> str:
    """The losses as the notes show them, one line for each kind."""
    lines = "\n".join([f"{name}: {' | '.join(values)}" for name, values in by_kind(lost).items()])
    return f"{heading(lost)}\n{lines}"


def heading(lost: Sequence[_Lost]) -> str:
    """What stands above the losses in the notes."""
    return f"Not in the targeting ({sum(len(each.values) for each in lost)}):"


def by_kind(lost: Sequence[_Lost]) -> Mapping[str, Sequence[str]]:
    """The lost values by dimension and operator."""
    groups: dict[str, Sequence[str]] = {}
    for (dimension, operator, _), values, _ in lost:
        name = f"{dimension} {operator}"
        groups[name] = (*groups[name], *values) if name in groups else values
    return groups


def _word(dimension: Dimension) -> str:
    return dimension.replace("_", " ")


@lru_cache(maxsize=64)
def expression_of(geo: tuple[tuple[str, str], ...], custom: tuple[tuple[str, str], ...]) -> Expression:
    """One Expression for the same words, so that the transforms of a mapping share its work."""
    return Expression(dict(geo), dict(custom))
