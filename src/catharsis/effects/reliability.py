"""Effect sizes from coefficient alpha: the reliability of an instrument in each study."""

from __future__ import annotations

import numpy as np

from catharsis.effects.mean_differences import Result
from catharsis.numerics import FloatArray


def raw_alpha(alpha: FloatArray, items: FloatArray, n: FloatArray) -> Result:
    """Coefficient alpha (ARAW) and 2 m (1 - alpha)^2 / ((m - 1)(n - 2)).

    Parameters
    ----------
    alpha : (k,) array
        Cronbach's alpha.
    items : (k,) array
        Items (parts, raters) of the instrument, at least 2.
    n : (k,) array
        People, more than 2.

    Returns
    -------
    yi, vi : (k,) arrays

    References
    ----------
    [@bonett2002]

    Examples
    --------
    >>> yi, vi = raw_alpha(np.array(0.8), np.array(5.0), np.array(102.0))
    >>> float(yi), float(vi.round(6))
    (0.8, 0.001)
    """
    return alpha, 2 * items * (1 - alpha) ** 2 / ((items - 1) * (n - 2))


def hakstian_whalen_alpha(alpha: FloatArray, items: FloatArray, n: FloatArray) -> Result:
    """1 - (1 - alpha)^(1/3) (AHW), after Hakstian and Whalen (1976) but growing with alpha.

    Parameters as in `raw_alpha`.

    Examples
    --------
    >>> yi, vi = hakstian_whalen_alpha(np.array(0.875), np.array(5.0), np.array(102.0))
    >>> float(yi), float(vi.round(6))
    (0.5, 0.000691)
    """
    scale = 18 * items * (n - 1) * (1 - alpha) ** (2 / 3) / ((items - 1) * (9 * n - 11) ** 2)
    return 1 - (1 - alpha) ** (1 / 3), scale


def bonett_alpha(alpha: FloatArray, items: FloatArray, n: FloatArray) -> Result:
    """-log(1 - alpha) (ABT), after Bonett but growing with alpha; variance 2 m / ((m - 1)(n - 2)).

    Parameters as in `raw_alpha`.

    References
    ----------
    [@bonett2002]

    Examples
    --------
    >>> yi, vi = bonett_alpha(np.array(0.8), np.array(5.0), np.array(102.0))
    >>> float(yi.round(4)), float(vi)
    (1.6094, 0.025)
    """
    return -np.log1p(-alpha), 2 * items / ((items - 1) * (n - 2)) + 0 * alpha
