"""What of a line's targeting Ad Manager can express: places by Geo_Target, people by custom key-values, the rest by note.

Ad Manager ors the places of one list, while the criteria of a canonical line are and-ed [S: GeoTargeting]. So the
narrowest kind of place that resolves is targeted, its country is the scope in which it was looked up, and the other
kinds are listed as losses rather than widening the audience. Custom criteria take the three levels that the vendor
prescribes: OR of one AND of criteria [S: Targeting.customTargeting].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from mappings.context import Context, Lookup
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
_INCLUDE = Operator.INCLUDE


class Expressed(NamedTuple):
    """The parts of a targeting that Ad Manager can hold, as vendor ids, and the values it cannot."""

    targeted: list[str]
    excluded: list[str]
    custom: list[dict[str, Any]]
    losses: tuple[Loss, ...]


_wanted = lru_cache(maxsize=65_536)(Lookup)
"""Look-ups by their words: the same places and values come again with every line."""


class Expression:
    """How dimensions are expressed: `geo` by type of Geo_Target (`region: REGION`), `custom` by targeting key."""

    def __init__(self, geo: Mapping[str, str], custom: Mapping[str, str]) -> None:
        self._geo = {Dimension(d): f"Geo_Target:{place}" for d, place in geo.items()}
        self._custom = {Dimension(d): (key, Lookup(_KEY_TABLE, key)) for d, key in custom.items()}
        self.shared = self.express
        """`express` as one object, by which transforms know that they share its work."""

    def lookups(self, criteria: Sequence[Criterion] | None) -> frozenset[Lookup]:
        """Every name that `express` may ask for."""
        scope = _scope(criteria or ())
        wanted: set[Lookup] = set()
        for criterion in criteria or ():
            table = self._geo.get(criterion.dimension)
            held = self._custom.get(criterion.dimension)
            if table is not None:
                place_scope = _place_scope(criterion, scope)
                wanted.update(_wanted(table, v, place_scope) for v in criterion.values)
            elif held is not None:
                wanted.add(held[1])
                wanted.update(_wanted(_VALUE_TABLE, v, held[0]) for v in criterion.values)
        return frozenset(wanted)

    def express(self, criteria: Sequence[Criterion] | None, context: Context) -> Expressed:
        """Ids for what can be expressed, one Loss for each value that cannot."""
        losses: list[Loss] = []
        custom: list[dict[str, Any]] = []
        places: list[Criterion] = []
        for criterion in criteria or ():
            dimension = criterion.dimension
            if dimension in self._geo:
                places.append(criterion)
            elif dimension in self._custom:
                self._custom_criterion(criterion, context, custom, losses)
            else:
                losses += _lost(criterion, criterion.values, f"Ad Manager has no targeting by {_word(dimension)}")
        targeted, excluded = self._places(places, context, losses) if places else ([], [])
        return Expressed(targeted, excluded, custom, tuple(losses))

    def _custom_criterion(
        self, criterion: Criterion, context: Context, custom: list[dict[str, Any]], losses: list[Loss]
    ) -> None:
        key, wanted_key = self._custom[criterion.dimension]
        key_id = context.lookup(wanted_key)
        if key_id is None:
            losses += _lost(criterion, criterion.values, f"the network has no targeting key {key}")
            return
        found = [context.lookup(_wanted(_VALUE_TABLE, value, key)) for value in criterion.values]
        ids = dict.fromkeys(found)
        if None in ids:
            del ids[None]
            unknown = [v for v, value_id in zip(criterion.values, found, strict=True) if value_id is None]
            losses += _lost(criterion, unknown, f"the targeting key {key} has no such value")
        if ids:
            custom.append(
                {
                    "xsi_type": "CustomCriteria",
                    "keyId": key_id,
                    "valueIds": list(ids),
                    "operator": "IS" if criterion.operator is _INCLUDE else "IS_NOT",
                }
            )

    def _places(
        self, criteria: Sequence[Criterion], context: Context, losses: list[Loss]
    ) -> tuple[list[str], list[str]]:
        lookup, scope = context.lookup, _scope(criteria)
        included: dict[Dimension, _Places] = {}
        excluded: list[_Places] = []
        for criterion in criteria:
            table = self._geo[criterion.dimension]
            place_scope = _place_scope(criterion, scope)
            values: Sequence[str] = criterion.values
            found = [lookup(_wanted(table, value, place_scope)) for value in values]
            ids = [place for place in found if place is not None]
            if len(ids) < len(found):
                unknown = [v for v, place in zip(values, found, strict=True) if place is None]
                losses += _lost(criterion, unknown, "Geo_Target knows no such place, or several")
                values = [v for v, place in zip(values, found, strict=True) if place is not None]
            known = _Places(criterion, values, ids)
            if criterion.operator is _INCLUDE:
                included[criterion.dimension] = known
            else:
                excluded.append(known)
        narrow = _narrowest(included) if len(included) > 1 or Dimension.COUNTRY not in included else None
        targeted = _targeted(included, narrow, losses)
        if not excluded:
            return targeted, []
        inside = not targeted or (bool(scope) and narrow is None)
        return targeted, _excluded(excluded, inside, losses)


class _Places(NamedTuple):
    """The values of one criterion that the look-up knew, and their ids, in order."""

    criterion: Criterion
    values: Sequence[str]
    ids: list[str]


def _narrowest(included: Mapping[Dimension, _Places]) -> Dimension | None:
    """The narrowest kind of place below a country that resolved."""
    for dimension in _NARROWEST_FIRST:
        places = included.get(dimension)
        if places is not None and places.ids:
            return dimension
    return None


def _targeted(included: Mapping[Dimension, _Places], narrow: Dimension | None, losses: list[Loss]) -> list[str]:
    """The places to target: the narrowest kind that resolved, else the countries. What the others knew becomes a loss."""
    if narrow is None:
        countries = included.get(Dimension.COUNTRY)
        return list(dict.fromkeys(countries.ids)) if countries is not None else []
    for dimension, places in included.items():
        if dimension is narrow:
            continue
        why = f"Ad Manager ors places, so only the narrower ones ({_word(narrow)}) are targeted"
        if dimension is Dimension.COUNTRY:
            if len(places.criterion.values) == 1:
                continue  # it was the scope of the look-up, so the narrower places lie in it
            why = f"the places of kind {_word(narrow)} stand for their countries, and several countries were asked for"
        losses += _lost(places.criterion, places.values, why)
    return list(dict.fromkeys(included[narrow].ids))


def _excluded(criteria: Sequence[_Places], inside: bool, losses: list[Loss]) -> list[str]:
    """The places that can be excluded. Ad Manager refuses postal codes there, and places that do not lie in a targeted one
    [S: GeoTargetingError.POSTAL_CODES_CANNOT_BE_EXCLUDED, GenericTargetingError.CONFLICTING_INCLUSION_OR_EXCLUSION_OF_
    SIBLINGS]; which state or metro a place lies in is not known here, so only exclusions from one whole country are sent.
    """
    ids: list[str] = []
    for places in criteria:
        if places.criterion.dimension is Dimension.POSTAL_CODE:
            losses += _lost(places.criterion, places.values, "Ad Manager cannot exclude postal codes")
        elif not inside:
            why = "Ad Manager excludes only inside a targeted place, and these are not known to lie in one"
            losses += _lost(places.criterion, places.values, why)
        else:
            ids += places.ids
    return list(dict.fromkeys(ids))


def _scope(criteria: Sequence[Criterion]) -> str:
    """The one country that places are looked up in, empty when the line names none or several."""
    for criterion in criteria:
        if criterion.dimension is Dimension.COUNTRY and criterion.operator is _INCLUDE:
            return criterion.values[0] if len(criterion.values) == 1 else ""
    return ""


def _place_scope(criterion: Criterion, scope: str) -> str:
    return "" if criterion.dimension is Dimension.COUNTRY else scope


def _lost(criterion: Criterion, values: Sequence[str], why: str) -> list[Loss]:
    path = _path(criterion)
    return [Loss(path, value, why) for value in values]


def _path(criterion: Criterion) -> str:
    return f"targeting.{criterion.dimension}.{criterion.operator}"


def _word(dimension: Dimension) -> str:
    return dimension.replace("_", " ")


@lru_cache(maxsize=64)
def expression_of(geo: tuple[tuple[str, str], ...], custom: tuple[tuple[str, str], ...]) -> Expression:
    """One Expression for the same words, so that the transforms of a mapping share its work."""
    return Expression(dict(geo), dict(custom))
