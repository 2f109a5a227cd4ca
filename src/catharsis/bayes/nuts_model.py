"""The model of `likelihood.blocks` in PyMC, so written that one compilation serves many data sets.

A `Shape` is what the compiled program depends on: the number of coefficients, the families of the priors, the kinds of
the random terms. Everything else is data, the number of effects and of studies included.

Two forms of the same posterior. *Integrated*: y ~ N(X b, V + Z G Z') with the study effects integrated out, so that a
handful of parameters is sampled, whatever k, and no funnel is left between tau and the effects; study effects are drawn
afterwards from their exact conditional distribution. *Sampled*: every random effect is a parameter, non-centred,
u = S L z with z standard normal. It rests on no algebra of covariance matrices, takes any crossing of random terms with
any distribution of the effects, and its number of levels is rounded up to a power of two, so that few programs serve
all sizes.

`nuts_program` writes either in symbols.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from catharsis.bayes import nuts_priors
from catharsis.bayes.nuts_distribution import Distribution
from catharsis.bayes.nuts_parts import Kind, Part, parts_of
from catharsis.bayes.priors import Prior, Priors
from catharsis.errors import ModelError
from catharsis.likelihood.blocks import Blocks
from catharsis.likelihood.nested import Nested
from catharsis.numerics import FloatArray, IntArray

Form = Literal["diagonal", "dense", "sampled"]

FEWEST = 8  # levels that a program of the sampled form is made for
LARGEST = 40  # effects tied together by V or crossed factors, above which sampling effects is faster than integrating


@dataclass(frozen=True, slots=True)
class Shape:
    """What a compiled model depends on.

    Attributes
    ----------
    form : str
        "diagonal" and "dense" integrate the effects out, "sampled" does not. In the diagonal form nothing ties effects
        together but one random intercept; the dense form has a covariance matrix for every block.
    coefficients : int
        p.
    families : tuple of str
        Prior family of each standard deviation, with `nuts_priors.SIGNED` where its coordinate goes through 0.
    kinds : tuple of Kind
        Random terms.
    group : int
        The random intercept that ties effects together in the diagonal form; -1 for none.
    distribution : str
        Code of the `Distribution` of the first random term.
    size : int
        Length of z in the sampled form.
    """

    form: Form
    coefficients: int
    families: tuple[str, ...]
    kinds: tuple[Kind, ...]
    group: int = -1
    distribution: str = "normal"
    size: int = 0

    @property
    def key(self) -> tuple[Any, ...]:
        """What a program is kept under: in the diagonal form the kinds of terms have become data."""
        if self.form != "diagonal":
            return (self,)
        tying = self.places[self.group].start if self.group >= 0 else -1
        return (self.form, self.coefficients, self.families, tying, self.distribution)

    @property
    def places(self) -> list[slice]:
        """Where the standard deviations of each random term are among all."""
        ends = np.cumsum([0, *(kind.sds for kind in self.kinds)])
        return [slice(int(a), int(b)) for a, b in pairwise(ends)]

    @property
    def free(self) -> list[int]:
        """Standard deviations that are not fixed."""
        return [i for i, family in enumerate(self.families) if family != "fixed"]

    @property
    def signed(self) -> list[int]:
        """Those of them that are sampled on a coordinate through 0, not on the logarithm."""
        return [i for i in self.free if self.families[i].startswith(nuts_priors.SIGNED)]

    @property
    def correlations(self) -> int:
        """Number of correlations."""
        return sum(kind.correlations for kind in self.kinds)


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A model ready to be compiled or to be handed to a compiled program.

    Attributes
    ----------
    shape : Shape
        What is compiled.
    data : dict
        What a program is given. It pays a third of a second of compilation for every array, so arrays of one length
        share one: `effects` has the rows y, and in the diagonal form v and what each squared standard deviation adds
        to an effect's variance; `b_numbers` means, roots of precisions and degrees of freedom (0: normal).
    parts : tuple of Part
        Random terms.
    blocks : Blocks
        Effects, moderators and sampling covariance.
    priors : tuple of Prior
        Of each standard deviation, completed.
    distribution : Distribution
        Of the study effects.
    closed : Model or None
        The same model with effects integrated out, where that is possible; itself is meant when it is that.
    """

    shape: Shape
    data: dict[str, Any]
    parts: tuple[Part, ...]
    blocks: Blocks
    priors: tuple[Prior, ...]
    distribution: Distribution
    closed: Model | None = None

    @property
    def independent(self) -> bool:
        """Whether V is diagonal."""
        return _independent(self.blocks)

    @property
    def homes(self) -> IntArray:
        """(k,) the study of each effect, or the block of studies that share something."""
        if self.closed is not None:
            return self.closed.homes
        if self.shape.form == "dense":
            found = np.empty(self.blocks.k, dtype=np.int64)
            for i, (rows, size) in enumerate(zip(self.data["rows"], self.data["sizes"], strict=True)):
                found[rows[:size]] = i
            return found
        if self.shape.form == "diagonal" and self.shape.group < 0:
            return np.arange(self.blocks.k)
        return self.parts[max(self.shape.group, 0)].outer

    @property
    def components(self) -> tuple[str, ...]:
        """Names of the standard deviations."""
        return tuple(name for part in self.parts for name in part.names[: part.kind.sds])

    @property
    def pairs(self) -> tuple[str, ...]:
        """Names of the correlations."""
        return tuple(name for part in self.parts for name in part.names[part.kind.sds :][: part.kind.correlations])


def make_model(
    blocks: Blocks,
    terms: Sequence[str],
    priors: Priors,
    sei: FloatArray,
    distribution: Distribution | None = None,
    effects: Literal["integrated", "sampled"] | None = None,
) -> Model:
    """Choose the form of a model and lay out its data.

    Parameters
    ----------
    blocks : Blocks
        The model.
    terms : sequence of str
        Coefficients.
    priors : Priors
        Priors.
    sei : (m,) array
        Standard errors that priors may be made from.
    distribution : Distribution, optional
        Of the study effects, the levels of the first random term; normal by default.
    effects : str, optional
        "integrated" or "sampled"; by default integrated wherever that is possible and fast.

    Returns
    -------
    Model

    Raises
    ------
    ModelError
        When the form asked for does not exist for this model, or a structure cannot be sampled.
    """
    distribution = distribution or Distribution()
    parts = parts_of(blocks)
    if distribution.name != "normal" and (not parts or parts[0].kind.name != "intercept"):
        raise ModelError(
            f'distribution="{distribution}" is that of a random intercept, and this model has none before its '
            'structured terms; use random="study + ..." or distribution="normal"'
        )
    possible, group = _integrated(parts, _independent(blocks), distribution)
    form = possible
    largest = max(rows.shape[1] for rows in blocks.rows)
    if form == "sampled" and effects == "integrated":
        raise ModelError(
            f'with distribution="{distribution}" effects are integrated out only where studies share nothing and their '
            'effects share nothing but the study; leave out effects="integrated"'
        )
    if effects == "sampled" or (effects is None and form == "dense" and largest > LARGEST):
        form = "sampled"
    components = [name for part in parts for name in part.names[: part.kind.sds]]
    chosen = tuple(priors.tau_of(name).completed(sei) for name in components)
    for prior in chosen:
        prior.log_density(np.ones(1))  # a prior made from standard errors says here what it lacks
    levels = sum(part.levels * part.kind.q for part in parts)
    shape = Shape(
        form, len(terms), _families(parts, chosen), tuple(part.kind for part in parts),
        group if form == "diagonal" else -1, distribution.code,
        max(FEWEST, 2 ** math.ceil(math.log2(levels))) if form == "sampled" else 0,
    )  # fmt: skip
    data = {"X": blocks.X, "effects": blocks.y[None], **coefficient_data(blocks, terms, priors)}
    if shape.free:
        data["tau_unit"] = np.array([nuts_priors.unit(prior, sei) for prior in chosen])
    data["tau_numbers"] = np.array([nuts_priors.numbers(prior) for prior in chosen])
    if set(shape.families) & set(nuts_priors.OF_EACH_ERROR):
        data["sei"] = sei
    if shape.distribution == "known t":
        data["df"] = np.array(distribution.df)
    data |= {"diagonal": _diagonal, "dense": _dense, "sampled": _sampled}[form](blocks, parts, shape)
    closed = None
    if form == "sampled" and possible != "sampled" and largest <= LARGEST:
        closed = make_model(blocks, terms, priors, sei, distribution, "integrated")
    return Model(shape, data, parts, blocks, chosen, distribution, closed)


def _families(parts: Sequence[Part], priors: Sequence[Prior]) -> tuple[str, ...]:
    """Names of the priors; beside correlations a change of sign is not a symmetry, and tau stays on its logarithm."""
    rigid = [part.kind.correlations > 0 for part in parts for _ in range(part.kind.sds)]
    names = map(nuts_priors.family_of, priors)
    return tuple(name if held else nuts_priors.signed(name) for name, held in zip(names, rigid, strict=True))


def _independent(blocks: Blocks) -> bool:
    """Whether V is diagonal."""
    if isinstance(blocks.ties, Nested):
        return blocks.ties.shared is None
    return not any(np.any(stack.V * (1 - np.eye(stack.V.shape[1]))) for stack in blocks.stacks)


def _integrated(parts: Sequence[Part], independent: bool, distribution: Distribution) -> tuple[Form, int]:
    """The form without effects, and the term that ties; "sampled" when there is none."""
    tying = [t for t, part in enumerate(parts) if not part.diagonal]
    if distribution.name != "normal":
        return ("diagonal", 0) if independent and set(tying) <= {0} else ("sampled", -1)
    if independent and (not tying or (len(tying) == 1 and parts[tying[0]].kind.name == "intercept")):
        return "diagonal", tying[0] if tying else -1
    return "dense", -1


def coefficient_data(blocks: Blocks, terms: Sequence[str], priors: Priors) -> dict[str, Any]:
    """Priors of b, and coordinates x with b = centre + half x in which b is about standard normal a posteriori.

    So moderators far from 0 (a year of publication) or in small units do not make the sampler crawl.
    """
    mean, precision = priors.location(terms)
    sei = np.sqrt(blocks.variances)
    X, y = blocks.X / sei[:, None], blocks.y / sei
    root = np.sqrt(precision)

    def solved(rough: float) -> tuple[FloatArray, FloatArray]:
        rows = np.concatenate([np.column_stack([X, y]) / rough, np.column_stack([np.diag(root), root * mean])])
        R = np.asarray(np.linalg.qr(rows, mode="r"))
        half = np.linalg.inv(R[: len(terms), : len(terms)])
        return half @ R[: len(terms), -1], half

    centre, _ = solved(1.0)
    centre, half = solved(max(1.0, float(np.sqrt(np.mean((y - X @ centre) ** 2)))))
    df = np.zeros(len(terms))  # 0 stands for a normal prior
    for i, value in priors.heavy(terms):
        df[i] = value
    return {"b_centre": centre, "b_half": half, "b_numbers": np.array([mean, root, df])}


def _diagonal(blocks: Blocks, parts: Sequence[Part], shape: Shape) -> dict[str, Any]:
    squares = [np.zeros((blocks.k, 1)) if t == shape.group else part.squares for t, part in enumerate(parts)]
    effects = np.column_stack([blocks.y, blocks.variances, *squares]).T
    data: dict[str, Any] = {"effects": np.ascontiguousarray(effects)}
    if shape.group >= 0:
        part = parts[shape.group]
        data |= {"study": part.outer, "none": np.zeros(part.levels)}
    return data


def _dense(blocks: Blocks, parts: Sequence[Part], shape: Shape) -> dict[str, Any]:
    """Blocks of all sizes in one stack, filled up with zeros."""
    stacks = blocks.stacks
    n = max(stack.rows.shape[1] for stack in stacks)
    count = sum(len(stack.rows) for stack in stacks)
    rows, inside = np.zeros((count, n), dtype=np.int64), np.zeros((count, n))
    V = np.zeros((count, n, n))
    at = 0
    for stack in stacks:
        b, size = stack.rows.shape
        rows[at : at + b, :size] = stack.rows
        inside[at : at + b, :size] = 1.0
        V[at : at + b, :size, :size] = stack.V
        at += b
    data: dict[str, Any] = {"rows": rows, "inside": inside, "V": V, "sizes": inside.sum(axis=1).astype(np.int64)}
    both = inside[:, :, None] * inside[:, None, :]
    for t, part in enumerate(parts):
        outer = part.outer[rows]
        data[f"together{t}"] = (outer[:, :, None] == outer[:, None, :]) * both
        data[f"design{t}"] = part.design[rows]
    return data


def _sampled(blocks: Blocks, parts: Sequence[Part], shape: Shape) -> dict[str, Any]:
    """V^-1/2 as triplets, and where each effect finds its z."""
    entries = [np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), np.empty(0)]
    if _independent(blocks):
        entries = [np.arange(blocks.k), np.arange(blocks.k), blocks.variances**-0.5]
    else:
        for stack in blocks.stacks:
            half = np.linalg.inv(_factor(stack.V))
            b, i, j = np.nonzero(half)
            found = (stack.rows[b, i], stack.rows[b, j], half[b, i, j])
            entries = [np.concatenate(pair) for pair in zip(entries, found, strict=True)]
    data: dict[str, Any] = {"white_place": np.array(entries[:2]), "white": entries[2]}
    start = 0
    for t, part in enumerate(parts):
        data[f"place{t}"] = start + part.outer[:, None] * part.kind.q + np.arange(part.kind.q)
        data[f"design{t}"] = part.design
        start += part.levels * part.kind.q
    if shape.distribution != "normal":
        data["mixed"] = (np.arange(shape.size) < parts[0].levels).astype(float)
    return data


def _factor(V: FloatArray) -> FloatArray:
    try:
        return np.asarray(np.linalg.cholesky(V))
    except np.linalg.LinAlgError:
        raise ModelError("V is not positive definite: two effects repeat each other, or a variance is 0") from None
