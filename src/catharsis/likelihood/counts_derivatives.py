"""Numbers that carry their first and second derivatives (forward mode).

The adaptive quadrature of a likelihood moves its nodes with the parameters: to each study's mode, which is itself the
root of an equation. Its gradient and Hessian by hand fill pages; carried along with the arithmetic they are exact to
rounding and the likelihood stays readable.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from catharsis.numerics import FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Jet:
    """An array of values with derivatives by r parameters.

    Attributes
    ----------
    value : (...) array
    gradient : (..., r) array
    hessian : (..., r, r) array

    Examples
    --------
    >>> x, y = variables(np.array([3.0, 5.0]))
    >>> product = x * x * y
    >>> float(product.value), product.gradient.tolist(), product.hessian.tolist()
    (45.0, [30.0, 9.0], [[10.0, 6.0], [6.0, 0.0]])
    """

    value: FloatArray
    gradient: FloatArray
    hessian: FloatArray

    def __add__(self, other: Jet | FloatArray | float) -> Jet:
        """The sum."""
        if isinstance(other, Jet):
            return Jet(self.value + other.value, self.gradient + other.gradient, self.hessian + other.hessian)
        return Jet(self.value + other, self.gradient, self.hessian)

    def __mul__(self, other: Jet | FloatArray | float) -> Jet:
        """The product, by Leibniz' rule."""
        if not isinstance(other, Jet):
            factor = np.asarray(other, dtype=float)
            return Jet(self.value * factor, self.gradient * factor[..., None], self.hessian * factor[..., None, None])
        cross = self.gradient[..., :, None] * other.gradient[..., None, :]
        return Jet(
            self.value * other.value,
            self.value[..., None] * other.gradient + other.value[..., None] * self.gradient,
            self.value[..., None, None] * other.hessian
            + other.value[..., None, None] * self.hessian
            + cross
            + np.swapaxes(cross, -1, -2),
        )

    def __neg__(self) -> Jet:
        """The negative."""
        return Jet(-self.value, -self.gradient, -self.hessian)

    def __sub__(self, other: Jet | FloatArray | float) -> Jet:
        """The difference."""
        return self + (-other)

    def through(self, value: FloatArray, first: FloatArray, second: FloatArray) -> Jet:
        """A function of this number, from its value and first two derivatives here (the chain rule)."""
        g = self.gradient
        return Jet(
            value,
            first[..., None] * g,
            first[..., None, None] * self.hessian + second[..., None, None] * (g[..., :, None] * g[..., None, :]),
        )

    def spread(self) -> Jet:
        """With one more axis behind the values, to meet the nodes of a quadrature."""
        return Jet(self.value[..., None], self.gradient[..., None, :], self.hessian[..., None, :, :])


def variables(values: FloatArray) -> list[Jet]:
    """(r, ...) values as the variables by which is differentiated."""
    r = len(values)
    unit = np.eye(r)
    return [Jet(np.asarray(value, dtype=float), unit[j], np.zeros((r, r))) for j, value in enumerate(values)]


def power(x: Jet, exponent: float) -> Jet:
    """A fixed power of a positive number."""
    value = x.value**exponent
    return x.through(value, exponent * value / x.value, exponent * (exponent - 1) * value / x.value**2)


def log(x: Jet) -> Jet:
    """Natural logarithm; x is positive."""
    return x.through(np.log(x.value), 1 / x.value, -1 / x.value**2)


def log_sum_exp(x: Jet, log_weights: FloatArray) -> Jet:
    """The logarithm of sum_q exp(log_weights_q + x_q) over the last axis of the values."""
    terms = x.value + log_weights
    top = terms.max(axis=-1, keepdims=True)
    share = np.exp(terms - top)
    total = share.sum(axis=-1, keepdims=True)
    share = share / total
    gradient = np.einsum("...q,...qr->...r", share, x.gradient)
    square = np.einsum("...q,...qr,...qs->...rs", share, x.gradient, x.gradient)
    hessian = np.einsum("...q,...qrs->...rs", share, x.hessian) + square
    return Jet((top + np.log(total))[..., 0], gradient, hessian - gradient[..., :, None] * gradient[..., None, :])
