"""The model in PyMC's symbols: what is compiled.

Every free variable lies on the whole line and every prior is written as a potential, so that numbers, the families of
priors on coefficients among them, stay data of the program.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from catharsis.bayes import nuts_priors
from catharsis.bayes.nuts_distribution import DF_PRIOR, DF_UNIT, INFLATION_MEAN, LEAST_DF, SHARE_PRIOR, t_rule
from catharsis.bayes.nuts_model import Model, Shape
from catharsis.bayes.nuts_parts import correlation_factor, product, shapes


def pymc_model(model: Model) -> Any:
    """The model as a `pymc.Model`.

    Returns
    -------
    pymc.Model
        Free variables on the whole line: `b_unit` (p,) with b = b_centre + b_half b_unit; the standard deviations that
        are not fixed, in units of `tau_unit`, as `signed_tau` (|sinh| of it) or `log_tau`; where the model has them
        `correlation`, `log_df`, `share` and `inflation`, and `z`. The data are `pymc.Data` of the names in
        `Model.data`.
    """
    import pymc as pm
    import pytensor.tensor as pt

    shape = model.shape
    with pm.Model() as built:
        held = {name: pm.Data(name, value) for name, value in model.data.items()}
        b = coefficient_symbols(pm, pt, shape, held)
        taus = tau_symbols(pm, pt, shape, held)
        factors = _factors(pm, pt, shape)
        mixing = _mixing(pm, pt, shape, held)
        residual = held["effects"][0] - held["X"] @ b
        if shape.form == "diagonal":
            pm.Potential("likelihood", _diagonal_likelihood(pt, shape, held, residual, taus, mixing))
        elif shape.form == "dense":
            pm.Potential("likelihood", _dense_likelihood(pt, shape, held, residual, taus, factors))
        else:
            z = pm.Flat("z", shape=shape.size)
            pm.Potential("z_prior", _law_of_z(pt, shape, held, z, mixing))
            for t, (kind, place) in enumerate(zip(shape.kinds, shape.places, strict=True)):
                u = z[held[f"place{t}"]]
                if kind.correlations:
                    u = u @ _matrix(pt, factors[t]).T
                residual = residual - (u * taus[place] * held[f"design{t}"]).sum(axis=1)
            white = pt.zeros(residual.shape)[held["white_place"][0]].inc(
                held["white"] * residual[held["white_place"][1]]
            )
            pm.Potential("likelihood", -0.5 * (white**2).sum())
    return built


def coefficient_symbols(pm: Any, pt: Any, shape: Shape, held: Mapping[str, Any]) -> Any:
    """Coefficients (p,), and their prior."""
    b = held["b_centre"] + held["b_half"] @ pm.Flat("b_unit", shape=shape.coefficients)
    mean, root, df = (held["b_numbers"][i] for i in range(3))
    z2 = ((b - mean) * root) ** 2  # 0 under a flat prior
    own = pt.where(df > 0, df, 1.0)
    pm.Potential("b_prior", pt.where(df > 0, -(own + 1) / 2 * pt.log1p(z2 / own), -0.5 * z2).sum())
    return b


def tau_symbols(pm: Any, pt: Any, shape: Shape, held: Mapping[str, Any]) -> Any:
    """Standard deviations (s,), and their prior."""
    number, sei = held["tau_numbers"], held.get("sei")
    if not shape.free:
        return number[:, 0]
    signed = shape.signed
    logged = [i for i in shape.free if i not in signed]
    x: Any = pm.Flat("log_tau", shape=len(logged)) if logged else None
    s: Any = pm.Flat("signed_tau", shape=len(signed)) if signed else None
    found, prior = [], 0.0
    for i, family in enumerate(shape.families):
        if i in signed:
            at = s[signed.index(i)]
            tau = held["tau_unit"][i] * abs(pt.sinh(at))
            found.append(tau)
            name = family.removeprefix(nuts_priors.SIGNED)
            prior = prior + nuts_priors.log_density(name, tau, number[i], sei) + pt.log(pt.cosh(at))
        elif i in logged:
            at = x[logged.index(i)]
            if family == "interval":
                found.append(number[i, 0] + (number[i, 1] - number[i, 0]) * pt.sigmoid(at))
                prior = prior - pt.softplus(at) - pt.softplus(-at)
            else:
                tau = held["tau_unit"][i] * pt.exp(at)
                found.append(tau)
                prior = prior + nuts_priors.log_density(family, tau, number[i], sei) + at
        else:
            found.append(number[i, 0])
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
    """(log weights, scales lambda) of the mixture; the degrees of freedom where effects are sampled; None: normal."""
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


def _diagonal_likelihood(pt: Any, shape: Shape, held: Mapping[str, Any], residual: Any, taus: Any, mixing: Any) -> Any:
    """Log p(y | b, tau) when one intercept ties effects: one rank-one term for each of its levels."""
    D = held["effects"][1] + taus**2 @ held["effects"][2:]
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
    """Log p(y | b, theta) block by block."""
    from catharsis.bayes.nuts_block_likelihood import block_log_likelihood

    M = held["V"]
    for t, (kind, place) in enumerate(zip(shape.kinds, shape.places, strict=True)):
        scaled = held[f"design{t}"] * taus[place]
        if kind.correlations:
            lifted = (scaled @ _matrix(pt, product(factors[t])))[:, :, None, :] * scaled[:, None, :, :]
        else:
            lifted = scaled[:, :, None, :] * scaled[:, None, :, :]
        M = M + held[f"together{t}"] * lifted.sum(axis=3)
    return block_log_likelihood(M, residual[held["rows"]], held["sizes"]).sum()


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
