"""Whether there is a posterior to sample, and how many of its moments exist: the exact engine's rules.

A sampler notices neither: draws from an improper posterior look like draws, and the mean of draws from a distribution
without a mean is a number. Correlations between random effects do not change how fast a likelihood falls when standard
deviations grow, so that a model with some is judged without them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from catharsis.bayes.components import Components
from catharsis.bayes.exact import moment_notes, rotate, tail_of
from catharsis.bayes.exact_components import Setup, check
from catharsis.bayes.priors import Priors
from catharsis.likelihood.blocks import Blocks
from catharsis.likelihood.structures import ONE_VARIANCE, SLOPES, UNCORRELATED, Kind, Structure
from catharsis.numerics import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Existence:
    """What is known of a posterior before it is sampled.

    Attributes
    ----------
    priors : Priors
        Completed.
    sei : (m,) array
        The standard errors that they were completed with.
    taus : mapping
        Standard deviation to the number of its moments that exist, 0 to 2.
    linear : callable
        A row x (p,) to the number of moments of x'b.
    notes : tuple of str
        What is lost.
    """

    priors: Priors
    sei: FloatArray
    taus: Mapping[str, int]
    linear: Callable[[FloatArray], int]
    notes: tuple[str, ...]


def existence(blocks: Blocks, terms: tuple[str, ...], priors: Priors) -> Existence:
    """Check that the posterior is proper and count moments.

    Raises
    ------
    ModelError
        When it is improper.
    """
    if len(blocks.factors) == 1 and not blocks.structures:
        model = rotate(blocks)
        priors = priors.completed(model.sei)
        own = replace(priors, tau=priors.tau_of(blocks.factors[0]))
        tail = tail_of(model, terms, own)

        def linear(row: FloatArray) -> int:
            return tail.moments if tail.touches(row) else 2

        return Existence(priors, model.sei, {blocks.factors[0]: tail.moments}, linear, moment_notes(tail, own))
    plain = uncorrelated(blocks)
    sei = np.sqrt(blocks.variances)
    priors = priors.completed(sei)
    fixed = {
        name: float(priors.tau_of(name).parameters[0])
        for name in plain.factors
        if priors.tau_of(name).family == "fixed"
    }
    found = check(Setup(Components(plain), terms, priors, fixed))
    moments = {name: found.get(name, 2) for name in plain.factors}
    return Existence(priors, sei, moments, lambda _: 2, _notes(moments, priors))


def _notes(moments: Mapping[str, int], priors: Priors) -> tuple[str, ...]:
    lost = [name for name, count in moments.items() if count < 2]
    if not lost:
        return ()
    return (
        f"so few studies leave the tail of {priors.tau_of(lost[0])} on the standard deviation of {' and '.join(lost)} "
        "so heavy that posterior moments do not exist; the medians and intervals do",
    )


def uncorrelated(blocks: Blocks) -> Blocks:
    """The model with its correlations left out, one variance for each that there was.

    Examples
    --------
    >>> import pandas as pd
    >>> from catharsis.likelihood.blocks import make_blocks
    >>> from catharsis.likelihood.random_effects import random_effects
    >>> data = pd.DataFrame({"trial": [1, 1, 2, 2], "outcome": ["b", "a", "b", "a"]})
    >>> found = random_effects("outcome | trial", "UN", data, 4, {})
    >>> uncorrelated(make_blocks(np.zeros(4), np.ones((4, 1)), np.ones(4), [], None, found.terms)).factors
    ('tau2[a]', 'tau2[b]')
    """
    if all(structure.kind in UNCORRELATED for structure in blocks.structures):
        return blocks
    structures = tuple(replace(structure, kind=_plain(structure)) for structure in blocks.structures)
    names, first, at = list(blocks.factors[: blocks.intercepts]), [], blocks.intercepts
    for structure, plain in zip(blocks.structures, structures, strict=True):
        first.append(len(names))
        names += blocks.factors[at : at + plain.parameters]
        at += structure.parameters
    stacks = tuple(
        replace(
            stack,
            patterns=tuple(
                replace(pattern, structure=structures[t], first=first[t]) for t, pattern in enumerate(stack.patterns)
            ),
        )
        for stack in blocks.stacks
    )
    return replace(blocks, ties=stacks, factors=tuple(names), structures=structures)


def _plain(structure: Structure) -> Kind:
    if structure.kind in SLOPES:
        return "GDIAG"
    return "ID" if structure.kind in ONE_VARIANCE else "DIAG"
