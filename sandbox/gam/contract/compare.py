"""Compares the project's contract table with the vendor's WSDLs: what disagrees, and what was left out."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.gam.contract.table import Contract


@dataclass(frozen=True)
class Deviation:
    """One fact of ours that the vendor states otherwise; `vendor` is empty if the vendor has no such thing."""

    what: str
    ours: str
    vendor: str

    def __str__(self) -> str:
        return f"{self.what}: ours '{self.ours}', vendor's '{self.vendor}'"


def deviations(ours: Contract, vendor: Contract) -> list[Deviation]:
    """Every type, field, order, occurrence, enum value and operation of ours that is not identical at the vendor's."""
    found: list[Deviation] = []

    def check(what: str, mine: str, theirs: str) -> None:
        if mine != theirs:
            found.append(Deviation(what, mine, theirs))

    for name, facts in ours.types.items():
        check(f"type {name}", str(facts) or "(empty)", str(vendor.types.get(name, "")) or _emptiness(vendor, name))
    for name, values in ours.enums.items():
        check(f"enum {name}", " ".join(values), " ".join(vendor.enums.get(name, ())))
    for service in ours.services.values():
        theirs = vendor.services[service.name]
        for missing in sorted(set(service.type_names) - set(theirs.type_names)):
            found.append(Deviation(f"{service.name} shows {missing}", missing, ""))
        for operation in service.operations.values():
            other = theirs.operations.get(operation.name)
            what = f"operation {service.name}.{operation.name}"
            check(f"{what} in", ", ".join(map(str, operation.parameters)), _parameters(other))
            check(f"{what} out", str(operation.result), str(other.result) if other else "")
            check(f"{what} filters", str(dict(operation.filters)), str(dict(other.filters)) if other else "")
    return found


def left_out(ours: Contract, vendor: Contract) -> dict[str, list[str]]:
    """What the vendor has and the table has not, by service: `operation X` and `type Y`."""
    return {
        name: [
            *(f"operation {each}" for each in sorted(set(theirs.operations) - set(ours.services[name].operations))),
            *(f"type {each}" for each in sorted(set(theirs.type_names) - set(ours.services[name].type_names))),
        ]
        for name, theirs in vendor.services.items()
    }


def _emptiness(vendor: Contract, name: str) -> str:
    return "(empty)" if name in vendor.types else ""


def _parameters(operation: object) -> str:
    return ", ".join(map(str, getattr(operation, "parameters", ())))
