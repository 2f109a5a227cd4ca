"""Which golden families catharsis answers, and how.

Every module here that defines `FAMILIES` (family name -> `Family`) takes part; a family without an adapter is
"not supported", and so is a case whose adapter raises `NotSupported`. Nothing is left out silently.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from golden_adapters.case import Case, Family, NotSupported, read_cases
from golden_adapters.comparison import OUTCOMES, Verdict, judge

FAMILIES: dict[str, Family] = {}
for found in iter_modules(__path__):
    FAMILIES.update(getattr(import_module(f"{__name__}.{found.name}"), "FAMILIES", {}))

__all__ = ["FAMILIES", "OUTCOMES", "Case", "Family", "NotSupported", "Verdict", "judge", "read_cases"]
