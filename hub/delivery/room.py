"""How much of a delivery report a load holds at once: the more, the quicker. The facts are the same, whatever it holds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Room:
    """What is held at once.

    `chunk`: bytes of CSV that become one frame; a frame costs as much as half a megabyte of text, however small it is.
    `workers`: frames that are parsed at once, and as many whose ids become numbers while others are parsed.
    `held_rows`: rows of a day that are read back together, and `part_rows`: those of them that are sorted together.
    `slice_rows`: rows written as text at once, and `sessions`: days on their way to the store at once, each on a connection
    of its own. `fold_lines`: sums by line and day that become first facts at once, while other days are still sorted.
    """

    chunk: int
    workers: int
    held_rows: int
    part_rows: int
    slice_rows: int
    sessions: int
    fold_lines: int


ROOMS = {
    "ample": Room(
        chunk=2 << 20, workers=2, held_rows=400_000, part_rows=400_000, slice_rows=16_384, sessions=2, fold_lines=50_000
    ),
    "small": Room(
        chunk=1 << 20, workers=1, held_rows=200_000, part_rows=100_000, slice_rows=12_288, sessions=1, fold_lines=20_000
    ),
}
"""By the setting `report_memory` of the hub."""
