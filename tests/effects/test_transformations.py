"""Scales of effects against metafor, against each other and at their edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import catharsis as ca
from catharsis.effects.transformations import TRANSFORMS, transform
from catharsis.errors import ModelError

X = [-2.5, -0.5, 0.0, 0.01, 0.2, 0.5, 1.0, 1.5, 1.56, 2.5]

# metafor 3.8-1: transf.isqrt(x), ... at the x above, printed to ten digits
METAFOR: list[tuple[str, dict[str, Any], list[float], list[float]]] = [
    ("isqrt", {}, X, [0, 0, 0, 0.0001, 0.04, 0.25, 1, 2.25, 2.4336, 6.25]),
    ("iahw", {}, X, [0, 0, 0, 0.029701, 0.488, 0.875, 1, 1, 1, 1]),
    ("iabt", {}, X, [0, 0, 0, 0.009950166251, 0.181269246922, 0.393469340287, 0.632120558829, 0.776869839852,
                     0.789863928799, 0.917915001376]),
    ("iarcsin", {}, X, [0, 0, 0, 9.999666671e-05, 3.946950300e-02, 2.298488471e-01, 7.080734183e-01, 9.949962483e-01,
                        9.998834439e-01, 1]),
    ("ipft", {"n": 20}, X, [0, 0, 0, 0, 0.02007191143, 0.21679585586, 0.71817729482, 1, 1, 1]),
    ("iirft", {"t": 20}, X, [0, 0, 0, 0, 0.018906250, 0.225625, 0.97515625, 2.225069444, 2.408664205, 6.225025]),
    ("pft", {"n": 20}, [0, 0.2, 1], [0.1099939887, 0.4806865600, 1.4608023381]),
    ("irft", {"t": 20}, [0, 0.2, 1], [0.1118033989, 0.4736067977, 1.0123475383]),
    ("ipft.hm", {"n": [10, 30, 50]}, [0.2, 0.7], [0.01971989255, 0.41078163725]),
    ("ztor.int", {"tau2": 0.1}, [0.5], [0.4300475441]),
    ("ztor.int", {"tau2": 0.1, "lower": -1, "upper": 1}, [0.5], [0.3839955066]),
    ("ilogit.int", {"tau2": 0.5}, [0.5], [0.6105996085]),
    ("dtobesd", {}, X, [0.1095655953, 0.3787321875, 0.5, 0.5024999688, 0.5497518595, 0.6212678125, 0.7236067977, 0.8,
                        0.8075158993, 0.8904344047]),
    ("dtorpb", {"n1": 20, "n2": 30}, [0.5], [0.242535625]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments", "x", "y"), METAFOR)
def test_transformations_equal_metafor(name: str, arguments: dict[str, Any], x: list[float], y: list[float]) -> None:
    assert_allclose(transform(x, name, **arguments), y, rtol=1e-9, atol=1e-10)


INVERSES: list[tuple[str, str, list[float], dict[str, Any]]] = [
    ("rtoz", "ztor", [-0.9, 0.0, 0.5], {}), ("logit", "ilogit", [0.01, 0.5, 0.9], {}),
    ("probit", "iprobit", [0.01, 0.5, 0.9], {}), ("arcsin", "iarcsin", [0.0, 0.3, 1.0], {}),
    ("pft", "ipft", [0.0, 0.1, 0.5, 1.0], {"n": 20}), ("pft", "ipft", [0.25, 0.75], {"n": 4}),
    ("irft", "iirft", [0.0, 0.4, 3.0], {"t": 20}), ("ahw", "iahw", [0.0, 0.5, 0.9], {}),
    ("abt", "iabt", [0.0, 0.5, 0.9], {}), ("r2toz", "ztor2", [0.0, 0.5, 0.9], {}), ("exp", "log", [-2.0, 0.0, 2.0], {}),
    ("dtorpb", "rpbtod", [-2.0, 0.0, 1.0], {"n1": 12, "n2": 30}), ("dtorpb", "rpbtod", [-2.0, 0.0, 1.0], {}),
    ("dtorbis", "rtod", [-0.5, 0.0, 0.5], {"n1": 12, "n2": 30}), ("rpbtorbis", "rtorpb", [-0.5, 0.5], {"share": 0.2}),
    ("lnortod.norm", "dtolnor.norm", [-1.0, 2.0], {}), ("lnortod.logis", "dtolnor.logis", [-1.0, 2.0], {}),
]  # fmt: skip


@pytest.mark.parametrize(("there", "back", "values", "arguments"), INVERSES)
def test_there_and_back(there: str, back: str, values: list[float], arguments: dict[str, Any]) -> None:
    assert_allclose(transform(transform(values, there, **arguments), back, **arguments), values, rtol=1e-12, atol=1e-14)


def test_the_mean_on_the_readers_scale() -> None:
    """Lognormal: exp(mu + tau2 / 2). Others: against a sum over many quantiles. No heterogeneity: the plain value."""
    assert_allclose(transform([0.3, -1.0], "exp.int", tau2=0.5), np.exp(np.array([0.3, -1.0]) + 0.25), rtol=1e-12)
    z = 0.4 + np.sqrt(0.3) * transform((np.arange(200_000) + 0.5) / 200_000, "probit")
    for name, plain in (("ztor.int", "ztor"), ("ilogit.int", "ilogit"), ("iprobit.int", "iprobit")):
        assert_allclose(transform(0.4, name, tau2=0.3), transform(z, plain).mean(), rtol=1e-6)
        assert_allclose(transform([0.4, np.nan], name, tau2=0), transform([0.4, np.nan], plain))


@pytest.mark.parametrize(("name", "plain", "tau2"), [
    ("ztor.mode", "ztor", 0.05), ("ztor.mode", "ztor", 2.0),
    ("ilogit.mode", "ilogit", 0.5), ("ilogit.mode", "ilogit", 9.0),
])  # fmt: skip
def test_modes_are_where_the_density_is_highest(name: str, plain: str, tau2: float) -> None:
    z = np.linspace(-12, 12, 2_000_001)
    y = transform(z, plain)
    slope = 1 - y**2 if plain == "ztor" else y * (1 - y)
    inside = slope > 1e-9
    for x in (-0.7, 0.3):
        log_density = -((z[inside] - x) ** 2) / (2 * tau2) - np.log(slope[inside])
        assert_allclose(transform(x, name, tau2=tau2), y[inside][np.argmax(log_density)], atol=1e-4)
    assert_allclose(transform(x, "exp.mode", tau2=tau2), np.exp(x - tau2))
    assert_allclose(transform(x, name, tau2=0), transform(x, plain))
    assert np.isnan(transform(0.0, name, tau2=9.0))
    assert transform(0.0, name, tau2=0.1) == transform(0.0, plain)


def test_what_a_difference_means() -> None:
    """Cohen (1988), table 2.2.1: d = 0.5 and 1.0 have U1 33.0 and 55.4, U2 59.9 and 69.1, U3 69.1 and 84.1 per cent."""
    percent = [(100 * transform([0.5, 1.0], name)).round(1).tolist() for name in ("dtou1", "dtou2", "dtou3")]
    assert percent == [[33.0, 55.4], [59.9, 69.1], [69.1, 84.1]]
    assert_allclose(transform(0.5, "dtocliffd"), 2 * transform(0.5, "dtocles") - 1, rtol=1e-12)
    assert_allclose(transform([0.0, -3.0], "dtoovl"), [1, 2 * (1 - 0.9331927987311419)], rtol=1e-12)
    assert_allclose(transform(0.5, "dtomd", sd=12), 6)


def test_what_an_odds_ratio_means() -> None:
    """An odds ratio of 3 at a risk of 1/4 is a risk of 1/2."""
    assert_allclose(transform(np.log(3), "lnortord", control_risk=0.25), 0.25)
    assert_allclose(transform(np.log(3), "lnortorr", control_risk=0.25), 2)
    assert_allclose(transform([0, np.log(16)], "lnortortet.digby"), [0, 7 / 9], atol=1e-15)
    assert_allclose(transform([0, np.log(4)], "lnortortet.pearson"), [0, np.cos(np.pi / 3)], atol=1e-15)


def test_every_transformation_keeps_shape_and_missing_values() -> None:
    given = {"n": 20, "t": 20, "tau2": 0.1, "sd": 2.0, "control_risk": 0.3}
    for name, (_, needs, _) in TRANSFORMS.items():
        found = transform([0.2, np.nan], name, **{argument: given[argument] for argument in needs})
        assert found.shape == (2,), name
        assert np.isfinite(found[0]), name
        assert np.isnan(found[1]), name
    assert ca.transform is transform


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("ztorr", {}, 'there is no transformation "ztorr": did you mean "ztor"?'),
        ("ipft", {}, 'the transformation "ipft" needs n'),
        ("ztor", {"n": 3}, 'the transformation "ztor" does not take n; it takes no argument'),
        ("dtorpb", {"n": 3}, 'the transformation "dtorpb" does not take n; it takes n1, n2'),
        ("exp.int", {"tau2": -1}, "tau2 is -1: a variance is 0 or above"),
    ],
)
def test_wrong_use(name: str, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError) as caught:
        transform([0.1], name, **arguments)
    assert str(caught.value) == message
