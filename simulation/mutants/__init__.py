"""Deliberately broken engines. A checker that nobody has seen fail proves nothing: each of these must be caught.

Each mutant replaces one thing in the engine (or in what a connector promises it) for the time of a campaign and says which
discipline it gives up. The engine's files are not touched.
"""

from __future__ import annotations

from simulation.mutants.claims import CLAIMS
from simulation.mutants.delivery import DELIVERY
from simulation.mutants.documents import DOCUMENTS
from simulation.mutants.doubt import DOUBT
from simulation.mutants.intake import INTAKE
from simulation.mutants.mutant import Mutant
from simulation.mutants.parking import PARKING
from simulation.mutants.records import RECORDS

ALL_MUTANTS: tuple[Mutant, ...] = (
    *DOUBT,
    *CLAIMS,
    *PARKING,
    *INTAKE,
    *RECORDS,
    *DELIVERY,
    *DOCUMENTS,
)

__all__ = ["ALL_MUTANTS", "Mutant"]
