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
    from catharsis.assess.cross_validation import compare_loo, loo
    from catharsis.assess.directions import effect_directions
    from catharsis.assess.file_drawer import failsafe_n
    from catharsis.assess.funnel_rank import rank_test
    from catharsis.assess.funnel_regression import egger
    from catharsis.assess.galbraith import radial
    from catharsis.assess.influence import influence_bayes, leave_one_out_bayes
    from catharsis.assess.limit_effect import limit_meta
    from catharsis.assess.p_uniform_estimates import p_uniform
    from catharsis.assess.p_uniform_likelihood import p_uniform_star
    from catharsis.assess.partial_contributions import partial_contributions
    from catharsis.assess.permutation import permutation_test
    from catharsis.assess.pooling import pooling_factors
    from catharsis.assess.power_scaled import power_scaling
    from catharsis.assess.precision_effect import pet_peese
    from catharsis.assess.predictive_checks import predictive_check
    from catharsis.assess.prior_comparison import prior_sensitivity
    from catharsis.assess.selection import selection_model
    from catharsis.assess.significance_count import excess_significance
    from catharsis.assess.subsets import gosh
    from catharsis.assess.trimming import trim_and_fill
    from catharsis.assess.unrestricted_weights import uwls, waap
    from catharsis.assess.without_pooling import sign_test
    from catharsis.bayes.averaging import model_average
    from catharsis.bayes.averaging_moderators import moderator_inclusion
    from catharsis.bayes.before_data import prior_predictive
    from catharsis.bayes.fit import fit_bayes
    from catharsis.bayes.priors import Priors
    from catharsis.bayes.sampled_counts import fit_bayes_counts
    from catharsis.bayes.sampled_selection import fit_bayes_selection
    from catharsis.bayes.weakly_informative import default_priors
    from catharsis.checks.agreement import cohen_kappa, intraclass_correlation
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
    "cohen_kappa": "catharsis.checks.agreement",
    "combine_pvalues": "catharsis.assess.combining",
    "compare_loo": "catharsis.assess.cross_validation",
    "correlation_covariance": "catharsis.effects.dependence",
    "cumulative": "catharsis.assess.accumulation",
    "default_priors": "catharsis.bayes.weakly_informative",
    "effect_directions": "catharsis.assess.directions",
    "effect_size": "catharsis.effects.measures",
    "egger": "catharsis.assess.funnel_regression",
    "excess_significance": "catharsis.assess.significance_count",
    "failsafe_n": "catharsis.assess.file_drawer",
    "fit": "catharsis.models.fit",
    "fit_bayes": "catharsis.bayes.fit",
    "fit_bayes_counts": "catharsis.bayes.sampled_counts",
    "fit_bayes_selection": "catharsis.bayes.sampled_selection",
    "fit_counts": "catharsis.models.generalised_linear",
    "fit_location_scale": "catharsis.models.location_scale",
    "fit_robust": "catharsis.models.correlated_effects",
    "from_five_numbers": "catharsis.effects.five_numbers",
    "from_wald": "catharsis.effects.conversions",
    "gosh": "catharsis.assess.subsets",
    "henmi_copas": "catharsis.assess.copas_interval",
    "influence_bayes": "catharsis.assess.influence",
    "intraclass_correlation": "catharsis.checks.agreement",
    "leave_one_out_bayes": "catharsis.assess.influence",
    "limit_meta": "catharsis.assess.limit_effect",
    "loo": "catharsis.assess.cross_validation",
    "mantel_haenszel": "catharsis.models.mantel_haenszel_estimate",
    "model_average": "catharsis.bayes.averaging",
    "moderator_inclusion": "catharsis.bayes.averaging_moderators",
    "p_uniform": "catharsis.assess.p_uniform_estimates",
    "p_uniform_star": "catharsis.assess.p_uniform_likelihood",
    "partial_contributions": "catharsis.assess.partial_contributions",
    "partial_evidence": "catharsis.likelihood.partial",
    "permutation_test": "catharsis.assess.permutation",
    "pet_peese": "catharsis.assess.precision_effect",
    "peto": "catharsis.models.peto_estimate",
    "pooling_factors": "catharsis.assess.pooling",
    "power_scaling": "catharsis.assess.power_scaled",
    "predictive_check": "catharsis.assess.predictive_checks",
    "prior_predictive": "catharsis.bayes.before_data",
    "prior_sensitivity": "catharsis.assess.prior_comparison",
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
    "cohen_kappa",
    "combine_pvalues",
    "compare_loo",
    "correlation_covariance",
    "cumulative",
    "default_priors",
    "effect_directions",
    "effect_size",
    "egger",
    "excess_significance",
    "failsafe_n",
    "fit",
    "fit_bayes",
    "fit_bayes_counts",
    "fit_bayes_selection",
    "fit_counts",
    "fit_location_scale",
    "fit_robust",
    "from_five_numbers",
    "from_wald",
    "gosh",
    "henmi_copas",
    "influence_bayes",
    "intraclass_correlation",
    "leave_one_out_bayes",
    "limit_meta",
    "loo",
    "mantel_haenszel",
    "model_average",
    "moderator_inclusion",
    "p_uniform",
    "p_uniform_star",
    "partial_contributions",
    "partial_evidence",
    "permutation_test",
    "pet_peese",
    "peto",
    "pooling_factors",
    "power_scaling",
    "predictive_check",
    "prior_predictive",
    "prior_sensitivity",
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
