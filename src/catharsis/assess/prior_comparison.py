"""The same data under a set of priors, and whether any conclusion changes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from catharsis.bayes.fit import fit_bayes
from catharsis.bayes.posterior import Posterior
from catharsis.bayes.priors import SHIFTED, Prior, Priors
from catharsis.errors import ModelError, did_you_mean
from catharsis.likelihood.arguments import probability

if TYPE_CHECKING:
    import pandas as pd

BAND = 3.0  # a Bayes factor beyond this, or below its inverse, is called evidence (Jeffreys 1961)
SHIFT = 0.5  # of a posterior sd: an average that moves more is said to move


@dataclass(frozen=True, slots=True)
class PriorSensitivity:
    """One coefficient under several priors.

    Attributes
    ----------
    frame : DataFrame
        One row for each set of priors, the first the reference: "priors" as text, "estimate" (posterior mean), "sd",
        "low", "high", "tau" (median), "tau_high", "positive" (P > 0), "bf" (how much better the data are predicted
        with an effect than without; nan under an improper prior).
    verdict : str
        One sentence: whether a conclusion changes, and which.
    changes : tuple of str
        Each conclusion that changes, and under which priors.
    posteriors : dict
        The fits.
    notes : tuple of str
        What every reader must be told.
    """

    frame: pd.DataFrame
    verdict: str
    changes: tuple[str, ...]
    posteriors: Mapping[str, Posterior]
    notes: tuple[str, ...] = ()


def prior_sensitivity(
    formula: str | None = None,
    data: pd.DataFrame | None = None,
    *,
    priors: Sequence[Priors] | Mapping[str, Priors] | None = None,
    term: str | None = None,
    level: float = 0.95,
    **model: Any,
) -> PriorSensitivity:
    """Fit one model under several sets of priors.

    Parameters
    ----------
    formula, data
        As for `fit_bayes`.
    priors : list of Priors or mapping of names to Priors, optional
        The first is the reference. By default `around(Priors())`: tau's scale halved and doubled, a half-Cauchy tail,
        and the average with half and twice the spread and flat.
    term : str, optional
        The coefficient that is asked for; by default the first.
    level : float
        Probability of the intervals.
    **model
        Everything else that `fit_bayes` takes: yi, vi, X, V, random, struct, engine, ...

    Returns
    -------
    PriorSensitivity

    Raises
    ------
    ModelError
        For fewer than two sets of priors, an unknown term, or a fit that is impossible under the reference.

    References
    ----------
    [@roever2021]

    Examples
    --------
    >>> found = prior_sensitivity(yi=[0.5, 0.4, 0.6, 0.3], vi=[0.02, 0.03, 0.02, 0.02])
    >>> found.frame["estimate"].round(2).tolist()
    [0.45, 0.45, 0.44, 0.45, 0.43, 0.45, 0.45]
    >>> found.verdict
    'no conclusion changes over 7 sets of priors'
    """
    import pandas as pd

    level = probability(level, "level")
    named = _named(around(Priors()) if priors is None else priors)
    posteriors, notes = {}, []
    for name, each in named.items():
        try:
            posteriors[name] = fit_bayes(formula, data, priors=each, level=level, **model)
        except ModelError as problem:
            if not posteriors:
                raise
            notes.append(f"no posterior under {name}: {problem}")
    first = next(iter(posteriors.values()))
    asked = first.terms[0] if term is None else term
    if asked not in first.terms:
        raise ModelError(f'there is no "{asked}": {did_you_mean(asked, list(first.terms))}')
    rows = {name: _row(post, asked) for name, post in posteriors.items()}
    frame = pd.DataFrame.from_dict(rows, orient="index")
    changes = _changes(frame, asked)
    count = f"{len(frame)} sets of priors"
    verdict = f"over {count}: {'; '.join(changes)}" if changes else f"no conclusion changes over {count}"
    if frame["bf"].isna().any():
        notes.append("a Bayes factor is missing where the prior is improper or the posterior was sampled")
    return PriorSensitivity(frame, verdict, changes, posteriors, tuple(notes))


def around(reference: Priors) -> dict[str, Priors]:
    """A set of priors around one: half and twice as wide, heavier in the tail, and flat on coefficients.

    Examples
    --------
    >>> list(around(Priors()))
    ['reference', 'tau halved', 'tau doubled', 'half-Cauchy tau', 'average halved', 'average doubled', 'flat average']
    """
    found = {"reference": reference}
    tau = reference.tau
    if tau.family in LAST_IS_SCALE:
        found["tau halved"] = replace(reference, tau=_scaled(tau, 0.5))
        found["tau doubled"] = replace(reference, tau=_scaled(tau, 2.0))
    if tau.family != "half-cauchy" and tau.proper and tau.family != "fixed" and math.isfinite(tau.reach):
        # the same median as the reference
        found["half-Cauchy tau"] = replace(reference, tau=Prior("half-cauchy", (tau.quantile(0.5),)))
    if reference.mu.family in SHIFTED:
        found["average halved"] = replace(reference, mu=_scaled(reference.mu, 0.5))
        found["average doubled"] = replace(reference, mu=_scaled(reference.mu, 2.0))
        found["flat average"] = replace(reference, mu=Prior("flat"))
    return found


LAST_IS_SCALE = (
    "half-normal", "half-cauchy", "half-t", "half-logistic", "rayleigh", "exponential", "lomax", "inverse-chi",
    "inverse-gamma",
)  # fmt: skip


def _scaled(prior: Prior, times: float) -> Prior:
    """The family with another spread; its last parameter is one."""
    return replace(prior, parameters=(*prior.parameters[:-1], times * prior.parameters[-1]), source="")


def _named(priors: Sequence[Priors] | Mapping[str, Priors]) -> dict[str, Priors]:
    if isinstance(priors, Priors | str):
        raise ModelError("priors is a list of Priors, or a mapping of names to them: one alone shows no sensitivity")
    named = dict(priors) if isinstance(priors, Mapping) else {}
    for each in () if isinstance(priors, Mapping) else priors:
        name = str(each)
        named[name if name not in named else f"{name} ({len(named) + 1})"] = each
    if not all(isinstance(each, Priors) for each in named.values()):
        raise ModelError("each set of priors is a Priors, such as Priors.parse({'tau': 'half-cauchy(0.5)'})")
    if len(named) < 2:
        raise ModelError("sensitivity needs two sets of priors or more")
    return {str(name): each for name, each in named.items()}


def _row(post: Posterior, term: str) -> dict[str, Any]:
    found = post.coefficients[term]
    tested = post.engine == "exact" and post.priors.of(term).proper and not math.isnan(post.log_marginal)
    return {
        "priors": str(post.priors),
        "estimate": found.mean,
        "sd": found.sd,
        "low": found.low,
        "high": found.high,
        "tau": post.tau.median,
        "tau_high": post.tau.high,
        "positive": found.positive,
        "bf": 1 / post.bayes_factor(f"{term} = 0") if tested else math.nan,
    }


def _changes(frame: pd.DataFrame, term: str) -> tuple[str, ...]:
    """What is concluded under the first row and not under another."""
    first, found = frame.iloc[0], []

    def differing(judged: list[str], what: str, names: Sequence[str]) -> None:
        odd = [i for i, each in enumerate(judged) if each != judged[0]]
        if odd:
            under = ", ".join(names[i] for i in odd)
            found.append(f"{what} is {judged[0]} under the reference and {judged[odd[0]]} under {under}")

    signs = ["positive" if row.low > 0 else "negative" if row.high < 0 else "open" for row in frame.itertuples()]
    differing(signs, f"the sign of {term} by its interval", list(frame.index))
    known = frame[frame["bf"].notna()]
    if not math.isnan(first["bf"]):
        judged = ["for an effect" if x > BAND else "against one" if x < 1 / BAND else "undecided" for x in known["bf"]]
        differing(judged, "the Bayes factor", list(known.index))
    moved = frame.index[(frame["estimate"] - first["estimate"]).abs() > SHIFT * first["sd"]]
    if len(moved):
        found.append(f"the estimate moves by more than half a posterior sd under {', '.join(moved)}")
    return tuple(found)
