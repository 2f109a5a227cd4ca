"""From the statistics that papers print to the numbers that effect sizes need; the sign is kept."""

from __future__ import annotations

import numpy as np
from scipy import special

from catharsis.numerics import FloatArray, critical_value


def t_from_f(F: FloatArray, sign: FloatArray) -> FloatArray:
    """The t behind an F with one numerator degree of freedom: sign * sqrt(F) [@hedges1985]."""
    return sign * np.sqrt(F)


def t_from_p(p: FloatArray, df: FloatArray, sign: FloatArray, sided: int = 2) -> FloatArray:
    """The t behind an exact p with the sign of the effect.

    Examples
    --------
    >>> float(t_from_p(np.array(0.05), np.array(18.0), np.array(-1)).round(4))
    -2.1009
    """
    return np.asarray(-sign * special.stdtrit(df, p / sided))


def d_from_t(t: FloatArray, n1: FloatArray, n2: FloatArray) -> FloatArray:
    """Cohen's d of two independent groups: t sqrt(1/n1 + 1/n2) [@hedges1985].

    Examples
    --------
    >>> float(d_from_t(np.array(2.0), np.array(20), np.array(20)).round(4))
    0.6325
    """
    return t * np.sqrt(1 / n1 + 1 / n2)


def d_from_paired_t(t: FloatArray, n: FloatArray) -> FloatArray:
    """Standardised mean change of one group: t / sqrt(n) [@morris2002]."""
    return t / np.sqrt(n)


def r_from_t(t: FloatArray, df: FloatArray) -> FloatArray:
    """The correlation behind its t with df = n - 2: t / sqrt(t^2 + df) [@fisher1921].

    Examples
    --------
    >>> float(r_from_t(np.array(2.0), np.array(30.0)).round(4))
    0.343
    """
    return t / np.sqrt(t**2 + df)


def se_from_interval(low: FloatArray, high: FloatArray, level: float = 0.95) -> FloatArray:
    """Standard error behind a symmetric normal interval.

    Examples
    --------
    >>> float(se_from_interval(np.array(0.43), np.array(0.55)).round(4))
    0.0306
    """
    return (high - low) / (2 * critical_value(level))
