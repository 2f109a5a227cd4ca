"""catharsis: living meta-analysis, from a bibliography and a YAML table to an honest report.

Public names load on first use, so that `import catharsis` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from catharsis.assess.accumulation import cumulative
    from catharsis.assess.albatross import albatross_data
    from catharsis.assess.combining import combine_pvalues
    from catharsis.assess.contributions import baujat
    from catharsis.assess.copas_interval import henmi_copas
    from catharsis.assess.count_asymmetry import asymmetry_of_counts
    from catharsis.assess.directions import effect_directions
    from catharsis.assess.file_drawer import failsafe_n
    from catharsis.assess.funnel_rank import rank_test
    from catharsis.assess.funnel_regression import egger
    from catharsis.assess.galbraith import radial
    from catharsis.assess.limit_effect import limit_meta
    from catharsis.assess.p_uniform_estimates import p_uniform
    from catharsis.assess.p_uniform_likelihood import p_uniform_star
    from catharsis.assess.permutation import permutation_test
    from catharsis.assess.precision_effect import pet_peese
    from catharsis.assess.selection import selection_model
    from catharsis.assess.significance_count import excess_significance
    from catharsis.assess.subsets import gosh
    from catharsis.assess.trimming import trim_and_fill
    from catharsis.assess.unrestricted_weights import uwls, waap
    from catharsis.assess.without_pooling import sign_test
    from catharsis.bayes.fit import fit_bayes
    from catharsis.bayes.priors import Priors
    from catharsis.effects.conversions import from_wald
    from catharsis.effects.dependence import aggregate, correlation_covariance
    from catharsis.effects.five_numbers import from_five_numbers
    from catharsis.effects.measures import effect_size
    from catharsis.effects.transformations import transform
    from catharsis.errors import CatharsisError, InputError, InputErrors, ModelError
    from catharsis.likelihood.blocks import sampling_covariance
    from catharsis.likelihood.partial import partial_evidence
    from catharsis.models.correlated_effects import fit_robust
    from catharsis.models.fit import fit
    from catharsis.models.generalised_linear import fit_counts
    from catharsis.models.location_scale import fit_location_scale
    from catharsis.models.mantel_haenszel_estimate import mantel_haenszel
    from catharsis.models.peto_estimate import peto
    from catharsis.plan.run import run
    from catharsis.references.bibtex import read_references
    from catharsis.studies.table import read_studies

_HOMES = {
    "CatharsisError": "catharsis.errors",
    "InputError": "catharsis.errors",
    "InputErrors": "catharsis.errors",
    "ModelError": "catharsis.errors",
    "Priors": "catharsis.bayes.priors",
    "aggregate": "catharsis.effects.dependence",
    "albatross_data": "catharsis.assess.albatross",
    "asymmetry_of_counts": "catharsis.assess.count_asymmetry",
    "baujat": "catharsis.assess.contributions",
    "combine_pvalues": "catharsis.assess.combining",
    "correlation_covariance": "catharsis.effects.dependence",
    "cumulative": "catharsis.assess.accumulation",
    "effect_directions": "catharsis.assess.directions",
    "effect_size": "catharsis.effects.measures",
    "egger": "catharsis.assess.funnel_regression",
    "excess_significance": "catharsis.assess.significance_count",
    "failsafe_n": "catharsis.assess.file_drawer",
    "fit": "catharsis.models.fit",
    "fit_bayes": "catharsis.bayes.fit",
    "fit_counts": "catharsis.models.generalised_linear",
    "fit_location_scale": "catharsis.models.location_scale",
    "fit_robust": "catharsis.models.correlated_effects",
    "from_five_numbers": "catharsis.effects.five_numbers",
    "from_wald": "catharsis.effects.conversions",
    "gosh": "catharsis.assess.subsets",
    "henmi_copas": "catharsis.assess.copas_interval",
    "limit_meta": "catharsis.assess.limit_effect",
    "mantel_haenszel": "catharsis.models.mantel_haenszel_estimate",
    "p_uniform": "catharsis.assess.p_uniform_estimates",
    "p_uniform_star": "catharsis.assess.p_uniform_likelihood",
    "partial_evidence": "catharsis.likelihood.partial",
    "permutation_test": "catharsis.assess.permutation",
    "pet_peese": "catharsis.assess.precision_effect",
    "peto": "catharsis.models.peto_estimate",
    "radial": "catharsis.assess.galbraith",
    "rank_test": "catharsis.assess.funnel_rank",
    "read_references": "catharsis.references.bibtex",
    "read_studies": "catharsis.studies.table",
    "run": "catharsis.plan.run",
    "sampling_covariance": "catharsis.likelihood.blocks",
    "selection_model": "catharsis.assess.selection",
    "sign_test": "catharsis.assess.without_pooling",
    "transform": "catharsis.effects.transformations",
    "trim_and_fill": "catharsis.assess.trimming",
    "uwls": "catharsis.assess.unrestricted_weights",
    "waap": "catharsis.assess.unrestricted_weights",
}

__all__ = [
    "CatharsisError",
    "InputError",
    "InputErrors",
    "ModelError",
    "Priors",
    "__version__",
    "aggregate",
    "albatross_data",
    "asymmetry_of_counts",
    "baujat",
    "combine_pvalues",
    "correlation_covariance",
    "cumulative",
    "effect_directions",
    "effect_size",
    "egger",
    "excess_significance",
    "failsafe_n",
    "fit",
    "fit_bayes",
    "fit_counts",
    "fit_location_scale",
    "fit_robust",
    "from_five_numbers",
    "from_wald",
    "gosh",
    "henmi_copas",
    "limit_meta",
    "mantel_haenszel",
    "p_uniform",
    "p_uniform_star",
    "partial_evidence",
    "permutation_test",
    "pet_peese",
    "peto",
    "radial",
    "rank_test",
    "read_references",
    "read_studies",
    "run",
    "sampling_covariance",
    "selection_model",
    "sign_test",
    "transform",
    "trim_and_fill",
    "uwls",
    "waap",
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
