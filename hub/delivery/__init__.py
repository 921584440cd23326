"""What was delivered: reports pulled in three resumable steps into versioned facts."""

import os

_ALLOCATOR = "_RJEM_MALLOC_CONF"
_GIVING_BACK = "dirty_decay_ms:20,muzzy_decay_ms:0,narenas:1"

# How the allocator of polars gives memory back; it reads this when polars is first imported. By itself it keeps what was freed,
# in many places, for whoever asks next: 10 million rows then peak 40 MB higher for a tenth less processor time. polars writes
# wishes of its own into this variable, and processes started afterwards inherit them; the last word counts, an operator's stays.
_told = os.environ.get(_ALLOCATOR, "")
if "narenas" not in _told:
    os.environ[_ALLOCATOR] = f"{_told},{_GIVING_BACK}" if _told else _GIVING_BACK
