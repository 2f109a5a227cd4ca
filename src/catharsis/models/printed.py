"""A fit as text, from the same numbers that its tables and attributes give."""

from __future__ import annotations

from typing import TYPE_CHECKING

from catharsis.models.knapp_hartung import TESTS

if TYPE_CHECKING:
    from catharsis.models.result import Fit

PARAMETERS = ("tau2", "rho", "gamma2", "phi")  # of structures; every other name is a random factor's


def printed(model: Fit) -> str:
    """What was fitted, its heterogeneity, its coefficients, and its notes.

    Examples
    --------
    >>> from catharsis.models.fit import fit
    >>> print(printed(fit(yi=[0.1, 0.4, 0.9], vi=[0.02, 0.03, 0.05], test="z")))
    REML, test: normal; k = 3
    tau^2 = 0.1225 (tau = 0.3501), I^2 = 79.8%, H^2 = 4.95; Q(2) = 9.258, p = 0.009764
               estimate     se  statistic  df      p     low   high
    intercept    0.4410 0.2272     1.9406 inf 0.0523 -0.0044 0.8863
    """
    q = model.QE
    head = f"{model.method}, test: {TESTS[model.test]}; k = {model.nobs}"
    cochran = f"Q({q.df1:.0f}) = {q.statistic:.4g}, p = {q.p:.4g}"
    if model.method in ("EE", "FE"):
        spread = cochran
    elif model.blocks.factors == ("effect",):
        spread = (
            f"tau^2 = {model.tau2:.4g} (tau = {model.tau:.4g}), I^2 = {model.I2:.1f}%, H^2 = {model.H2:.3g}; {cochran}"
        )
    else:
        names = [name if "[" in name or name in PARAMETERS else f"sigma2[{name}]" for name in model.blocks.factors]
        parts = ", ".join(f"{name} = {value:.4g}" for name, value in zip(names, model.theta, strict=True))
        spread = f"{parts}; {cochran}" if parts else cochran
    table = model.summary().to_string(float_format="{:.4f}".format, formatters={"df": "{:.4g}".format})
    return "\n".join([head, spread, table, *(f"note: {note}" for note in model.notes)])
