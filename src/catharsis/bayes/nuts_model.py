"""The model of `likelihood.blocks` in PyMC, so written that one compilation serves many data sets.

A `Shape` is what the compiled program depends on: the number of coefficients, the families of the priors, the kinds of
the random terms. Everything else is data, the number of effects and of studies included.

Two forms of the same posterior. *Integrated*: y ~ N(X b, V + Z G Z') with the study effects integrated out, so that a
handful of parameters is sampled, whatever k, and no funnel is left between tau and the effects; study effects are drawn
afterwards from their exact conditional distribution. *Sampled*: every random effect is a parameter, non-centred,
u = S L z with z standard normal. It rests on no algebra of covariance matrices, takes any crossing of random terms with
any distribution of the effects, and its number of levels is rounded up to a power of two, so that few programs serve
all sizes.

Study effects need not be normal: with `distribution="t"` or "outliers" they are a mixture of normals of different
scales, N(0, lambda tau^2). Outliers have two values of lambda; a t distribution has a continuum, which the integrated
form covers with a rule of 73 nodes in log lambda (relative error below 1e-6).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from catharsis.bayes import nuts_priors
from catharsis.bayes.nuts_parts import Kind, Part, correlation_factor, parts_of, product, shapes
from catharsis.bayes.priors import Prior, Priors
from catharsis.errors import ModelError, did_you_mean
from catharsis.likelihood.blocks import Blocks
from catharsis.likelihood.nested import Nested
from catharsis.numerics import FloatArray

Form = Literal["diagonal", "dense", "sampled"]

LEAST_DF = 2.0  # of estimated degrees of freedom: below, the effects of studies would have no variance
DF_PRIOR = (2.0, 0.1)  # gamma(shape, rate) (Juarez and Steel 2010, J. Business & Economic Statistics), above LEAST_DF
DF_UNIT = 20.0  # degrees of freedom, about that prior's mean
SHARE_PRIOR = (1.0, 9.0)  # beta: a tenth of studies are outliers, and hardly ever half of them
INFLATION_MEAN = 4.0  # of an exponential: how many times tau the sd of outliers lies above tau
NODES = np.arange(-30.0, 6.25, 0.5)  # of the rule for a t distribution, in standard deviations of log 1/lambda
FEWEST = 8  # levels that a program of the sampled form is made for
LARGEST = 40  # effects tied together by V or crossed factors, above which sampling effects is faster than integrating


@dataclass(frozen=True, slots=True)
class Distribution:
    """How the effects of studies are distributed around their mean.

    Attributes
    ----------
    name : str
        "normal", "t" or "outliers".
    df : float
        Degrees of freedom of a t; nan where estimated.
    """

    name: str = "normal"
    df: float = math.nan

    @property
    def code(self) -> str:
        """The name that a compiled program knows."""
        return "known t" if self.name == "t" and not math.isnan(self.df) else self.name

    @property
    def moments(self) -> int:
        """Moments that exist, 0 to 2; estimated degrees of freedom lie above 2."""
        return 2 if self.code != "known t" else int(self.df > 1) + int(self.df > 2)

    @property
    def notes(self) -> tuple[str, ...]:
        """What every reader must be told."""
        if self.name == "t":
            return ("tau is the scale of a t distribution: study effects vary by tau times the root of df / (df - 2)",)
        if self.name == "outliers":
            return ("tau is the standard deviation of studies that are not outliers; a new study may be one",)
        return ()

    def __str__(self) -> str:
        return f"t({self.df:g})" if self.code == "known t" else self.name


def parse_distribution(text: str) -> Distribution:
    """Read "normal", "t", "t(4)" or "outliers".

    Raises
    ------
    ModelError
        For anything else, and for fewer than 1 degree of freedom.

    Examples
    --------
    >>> parse_distribution("t(4)")
    Distribution(name='t', df=4.0)
    """
    found = re.fullmatch(r"\s*(normal|outliers|t)\s*(?:\(\s*([0-9.e+]+)\s*\))?\s*", str(text))
    if found is None or (found[2] is not None and found[1] != "t"):
        raise ModelError(
            f'there is no distribution "{text}" of study effects: {did_you_mean(str(text), ["normal", "t", "outliers"])}; '
            "t(4) is a t with known degrees of freedom"
        )
    if found[2] is None:
        return Distribution(found[1])
    try:
        df = float(found[2])
    except ValueError:
        raise ModelError(f'"{text}": the degrees of freedom of a t are a number') from None
    if not 1 <= df < math.inf:
        raise ModelError(f'"{text}": a t distribution of study effects has 1 degree of freedom or more')
    return Distribution("t", df)


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
        Prior family of each standard deviation.
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
        return [slice(int(a), int(b)) for a, b in zip(ends[:-1], ends[1:], strict=True)]

    @property
    def free(self) -> list[int]:
        """Standard deviations that are not fixed."""
        return [i for i, family in enumerate(self.families) if family != "fixed"]

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
        What a program is given.
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
        form, len(terms), tuple(map(nuts_priors.family_of, chosen)), tuple(part.kind for part in parts),
        group if form == "diagonal" else -1, distribution.code,
        max(FEWEST, 2 ** math.ceil(math.log2(levels))) if form == "sampled" else 0,
    )  # fmt: skip
    data = {"yi": blocks.y, "X": blocks.X, **_coefficients(blocks, terms, priors)}
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


def _coefficients(blocks: Blocks, terms: Sequence[str], priors: Priors) -> dict[str, Any]:
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
    return {"b_centre": centre, "b_half": half, "b_mean": mean, "b_root": root, "b_df": df}


def _diagonal(blocks: Blocks, parts: Sequence[Part], shape: Shape) -> dict[str, Any]:
    squares = [np.zeros((blocks.k, 1)) if t == shape.group else part.squares for t, part in enumerate(parts)]
    data = {"vi": blocks.variances, "squares": np.concatenate(squares, axis=1)}
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
    data: dict[str, Any] = {"white_row": entries[0], "white_column": entries[1], "white": entries[2]}
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


# -- symbols -------------------------------------------------------------------------------------------


def pymc_model(model: Model) -> Any:
    """The model as a `pymc.Model`.

    Returns
    -------
    pymc.Model
        Free variables on the whole line: `b_unit` (p,) with b = b_centre + b_half b_unit; `log_tau`, the logarithms of
        the standard deviations that are not fixed, in units of `tau_unit`; where the model has them `correlation`,
        `log_df`, `share` and `inflation`, and `z`. The data are `pymc.Data` of the names in `Model.data`.
    """
    import pymc as pm
    import pytensor.tensor as pt

    shape = model.shape
    with pm.Model() as built:
        held = {name: pm.Data(name, value) for name, value in model.data.items()}
        b = _b(pm, pt, shape, held)
        taus = _taus(pm, pt, shape, held)
        factors = _factors(pm, pt, shape)
        mixing = _mixing(pm, pt, shape, held)
        residual = held["yi"] - held["X"] @ b
        if shape.form == "diagonal":
            pm.Potential("likelihood", _diagonal_likelihood(pt, shape, held, residual, taus, mixing))
        elif shape.form == "dense":
            pm.Potential("likelihood", _dense_likelihood(pt, shape, held, residual, taus, factors))
        else:
            z = pm.Flat("z", shape=shape.size)
            pm.Potential("effects", _law_of_z(pt, shape, held, z, mixing))
            for t, (kind, place) in enumerate(zip(shape.kinds, shape.places, strict=True)):
                u = z[held[f"place{t}"]]
                if kind.correlations:
                    u = u @ _matrix(pt, factors[t]).T
                residual = residual - (u * taus[place] * held[f"design{t}"]).sum(axis=1)
            white = pt.zeros_like(residual)[held["white_row"]].inc(held["white"] * residual[held["white_column"]])
            pm.Potential("likelihood", -0.5 * (white**2).sum())
    return built


def _b(pm: Any, pt: Any, shape: Shape, held: Mapping[str, Any]) -> Any:
    b = held["b_centre"] + held["b_half"] @ pm.Flat("b_unit", shape=shape.coefficients)
    z2 = ((b - held["b_mean"]) * held["b_root"]) ** 2  # 0 under a flat prior
    df = held["b_df"]
    own = pt.where(df > 0, df, 1.0)
    pm.Potential("b_prior", pt.where(df > 0, -(own + 1) / 2 * pt.log1p(z2 / own), -0.5 * z2).sum())
    return b


def _taus(pm: Any, pt: Any, shape: Shape, held: Mapping[str, Any]) -> Any:
    """(s,) standard deviations."""
    number, sei = held["tau_numbers"], held.get("sei")
    if not shape.free:
        return number[:, 0]
    x = pm.Flat("log_tau", shape=len(shape.free))
    found, prior = [], 0.0
    for i, family in enumerate(shape.families):
        at = x[shape.free.index(i)] if family != "fixed" else None
        if family == "fixed":
            found.append(number[i, 0])
        elif family == "interval":
            found.append(number[i, 0] + (number[i, 1] - number[i, 0]) * pt.sigmoid(at))
            prior = prior - pt.softplus(at) - pt.softplus(-at)
        else:
            tau = held["tau_unit"][i] * pt.exp(at)
            found.append(tau)
            prior = prior + nuts_priors.log_density(family, tau, number[i], sei) + at
    pm.Potential("tau_prior", prior)
    return pt.stack(found)


def _factors(pm: Any, pt: Any, shape: Shape) -> list[list[list[Any]]]:
    """L of each random term, element by element."""
    unit: list[Any] = []
    if shape.correlations:
        x = pm.Flat("correlation", shape=shape.correlations)
        a = np.array([each for kind in shape.kinds for each in shapes(kind)])
        pm.Potential("correlation_prior", -(a * (pt.softplus(x) + pt.softplus(-x))).sum())
        unit = [pt.sigmoid(x[i]) for i in range(shape.correlations)]
    found, at = [], 0
    for kind in shape.kinds:
        found.append(correlation_factor(kind, unit[at : at + kind.correlations]))
        at += kind.correlations
    return found


def _matrix(pt: Any, elements: Sequence[Sequence[Any]]) -> Any:
    return pt.stack([pt.stack([pt.as_tensor(value, dtype="float64") for value in row]) for row in elements])


def _mixing(pm: Any, pt: Any, shape: Shape, held: Mapping[str, Any]) -> Any:
    """(log weights, scales lambda) of the mixture, or the degrees of freedom where effects are sampled; None: normal."""
    if shape.distribution == "normal":
        return None
    if shape.distribution == "outliers":
        x, y = pm.Flat("share"), pm.Flat("inflation")
        first, second = SHARE_PRIOR
        pm.Potential("share_prior", -first * pt.softplus(-x) - second * pt.softplus(x))
        more = INFLATION_MEAN * pt.exp(y)
        pm.Potential("inflation_prior", y - more / INFLATION_MEAN)
        return pt.stack([-pt.softplus(x), -pt.softplus(-x)]), pt.stack([pt.ones(()), (1 + more) ** 2])
    if shape.distribution == "t":
        x = pm.Flat("log_df")
        df = LEAST_DF + DF_UNIT * pt.exp(x)
        pm.Potential("df_prior", x + (DF_PRIOR[0] - 1) * pt.log(df) - DF_PRIOR[1] * df)
    else:
        df = held["df"]
    return df if shape.form == "sampled" else t_rule(df, pt)


def t_rule(df: Any, xp: Any = np) -> tuple[Any, Any]:
    """Log weights and scales lambda of the normals that a t distribution is a mixture of.

    log 1/lambda, of a chi-square over its degrees of freedom, has a density that decays at both ends and is analytic in
    a strip, where equal steps converge like exp(-pi^2 / step).

    Parameters
    ----------
    df : float, (g, 1) array, or symbol
        Degrees of freedom, 1 or more.
    xp : module
        numpy or pytensor.tensor.

    Examples
    --------
    >>> log_weight, scale = t_rule(4.0)
    >>> y, normal = 3.0, np.exp(-0.5 * 3.0**2 / scale) / np.sqrt(2 * np.pi * scale)
    >>> abs(np.exp(log_weight) @ normal / 0.0196961 - 1) < 1e-4
    np.True_
    """
    x = NODES * xp.sqrt(2 / xp.maximum(df, 2.0))
    height = df / 2 * (x - xp.exp(x))
    top = height.max(axis=-1, keepdims=True)
    return height - top - xp.log(xp.exp(height - top).sum(axis=-1, keepdims=True)), xp.exp(-x)


def _diagonal_likelihood(pt: Any, shape: Shape, held: Mapping[str, Any], residual: Any, taus: Any, mixing: Any) -> Any:
    """log p(y | b, tau) when one intercept ties effects: one rank-one term for each of its levels."""
    D = held["vi"] + held["squares"] @ taus**2
    own = -0.5 * (pt.log(D) + residual**2 / D).sum()
    if shape.group < 0:
        return own
    information = pt.inc_subtensor(held["none"][held["study"]], 1 / D)
    pull = pt.inc_subtensor(held["none"][held["study"]], residual / D)
    tau2 = taus[shape.places[shape.group]][0] ** 2
    if mixing is None:
        more = tau2 * information
        return own + (0.5 * tau2 * pull**2 / (1 + more) - 0.5 * pt.log1p(more)).sum()
    log_weight, scale = mixing
    more = information[:, None] * (tau2 * scale)
    each = log_weight + 0.5 * tau2 * scale * pull[:, None] ** 2 / (1 + more) - 0.5 * pt.log1p(more)
    return own + pt.logsumexp(each, axis=1).sum()


def _dense_likelihood(pt: Any, shape: Shape, held: Mapping[str, Any], residual: Any, taus: Any, factors: Any) -> Any:
    """log p(y | b, theta) block by block."""
    from catharsis.bayes.nuts_block_likelihood import block_log_likelihood

    M = held["V"]
    for t, (kind, place) in enumerate(zip(shape.kinds, shape.places, strict=True)):
        scaled = held[f"design{t}"] * taus[place]
        if kind.correlations:
            lifted = (scaled @ _matrix(pt, product(factors[t])))[:, :, None, :] * scaled[:, None, :, :]
        else:
            lifted = scaled[:, :, None, :] * scaled[:, None, :, :]
        M = M + held[f"together{t}"] * lifted.sum(axis=3)
    return block_log_likelihood(M, residual[held["rows"]] * held["inside"], held["sizes"]).sum()


def _law_of_z(pt: Any, shape: Shape, held: Mapping[str, Any], z: Any, mixing: Any) -> Any:
    """Standard normal, but for the levels of the first term when that is something else."""
    normal = -0.5 * z**2
    if shape.distribution == "normal":
        return normal.sum()
    if shape.distribution == "outliers":
        log_weight, scale = mixing
        own = pt.logsumexp(log_weight - 0.5 * pt.log(scale) - 0.5 * z[:, None] ** 2 / scale, axis=1)
    else:
        df = mixing
        constant = pt.gammaln((df + 1) / 2) - pt.gammaln(df / 2) - 0.5 * pt.log(df)
        own = constant - (df + 1) / 2 * pt.log1p(z**2 / df)
    return pt.where(held["mixed"] > 0, own, normal).sum()
