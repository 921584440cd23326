"""The office of the billing tests: booked orders, reports of two sources, and an ERP in memory."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

_NAME = "billing_office"
_PATH = Path(__file__).parents[1] / "billing" / "conftest.py"

if _NAME not in sys.modules:
    _spec = importlib.util.spec_from_file_location(_NAME, _PATH)
    assert _spec is not None
    assert _spec.loader is not None
    _module = importlib.util.module_from_spec(_spec)
    sys.modules[_NAME] = _module
    _spec.loader.exec_module(_module)

office = sys.modules[_NAME].office
