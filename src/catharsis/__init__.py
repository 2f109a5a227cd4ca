"""catharsis: living meta-analysis, from a bibliography and a YAML table to an honest report.

Public names load on first use, so that `import catharsis` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from catharsis.assess.without_pooling import sign_test
    from catharsis.bayes.fit import fit_bayes
    from catharsis.bayes.priors import Priors
    from catharsis.effects.measures import effect_size
    from catharsis.errors import CatharsisError, InputError, InputErrors, ModelError
    from catharsis.likelihood.blocks import sampling_covariance
    from catharsis.models.fit import fit
    from catharsis.models.location_scale import fit_location_scale
    from catharsis.plan.run import run
    from catharsis.references.bibtex import read_references
    from catharsis.studies.table import read_studies

_HOMES = {
    "CatharsisError": "catharsis.errors",
    "InputError": "catharsis.errors",
    "InputErrors": "catharsis.errors",
    "ModelError": "catharsis.errors",
    "Priors": "catharsis.bayes.priors",
    "effect_size": "catharsis.effects.measures",
    "fit": "catharsis.models.fit",
    "fit_bayes": "catharsis.bayes.fit",
    "fit_location_scale": "catharsis.models.location_scale",
    "read_references": "catharsis.references.bibtex",
    "read_studies": "catharsis.studies.table",
    "run": "catharsis.plan.run",
    "sampling_covariance": "catharsis.likelihood.blocks",
    "sign_test": "catharsis.assess.without_pooling",
}

__all__ = [
    "CatharsisError",
    "InputError",
    "InputErrors",
    "ModelError",
    "Priors",
    "__version__",
    "effect_size",
    "fit",
    "fit_bayes",
    "fit_location_scale",
    "read_references",
    "read_studies",
    "run",
    "sampling_covariance",
    "sign_test",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its home on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'catharsis' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
