"""The likelihood of counts: distributions, quadrature and derivatives against brute force."""

import numpy as np
import pytest
from scipy import integrate, stats

from catharsis.errors import ModelError
from catharsis.likelihood.counts import Counts, adjusted, hypergeometric_score, observed_effects, read_counts
from catharsis.likelihood.counts_families import Binomial, Poisson, hypergeometric
from catharsis.likelihood.counts_marginal import Outcome, StudyModel, study_log_likelihoods

ETA = np.array([-1.3, 0.2, 0.9])
N1, N2, M = np.array([7.0, 30, 12]), np.array([9.0, 25, 40]), np.array([5.0, 30, 3])
Y = np.array([2.0, 18, 1])


def pmf(name, y, eta, i):
    """The probability by scipy, for one study."""
    if name == "binomial":
        return stats.binom.pmf(y, int(N1[i]), 1 / (1 + np.exp(-eta)))
    if name == "poisson":
        return stats.poisson.pmf(y, np.exp(eta))
    return stats.nchypergeom_fisher.pmf(y, int(N1[i] + N2[i]), int(N1[i]), int(M[i]), np.exp(eta))


FAMILIES = {"binomial": Binomial(N1), "poisson": Poisson(), "hypergeometric": hypergeometric(N1, N2, M)}


@pytest.mark.parametrize("name", FAMILIES)
def test_probabilities_are_those_of_scipy(name):
    family = FAMILIES[name]
    y = np.minimum(Y, N1)
    ours = y * ETA - family.cumulants(ETA, 2)[0] + family.log_base(y)
    assert np.exp(ours) == pytest.approx([pmf(name, y[i], ETA[i], i) for i in range(3)], rel=1e-10)


@pytest.mark.parametrize("name", FAMILIES)
def test_cumulants_are_derivatives(name):
    family, h = FAMILIES[name], 1e-4
    for order in range(4):
        up, down = (family.cumulants(ETA + step, 4)[order] for step in (h, -h))
        assert (up - down) / (2 * h) == pytest.approx(family.cumulants(ETA, 4)[order + 1], rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("name", FAMILIES)
def test_some_studies_alone_are_the_same(name):
    family, rows = FAMILIES[name], np.array([2, 0])
    part = family.subset(rows)
    for ours, whole in zip(part.cumulants(ETA[rows], 4), family.cumulants(ETA, 4), strict=True):
        assert ours == pytest.approx(whole[rows], rel=1e-13)
    assert part.log_base(np.ones(2)) == pytest.approx(family.log_base(np.ones(3))[rows])


@pytest.mark.parametrize("name", FAMILIES)
def test_adaptive_quadrature_is_the_integral(name):
    family, tau = FAMILIES[name], 0.8
    y = np.minimum(Y, N1)
    outcome = Outcome(y, np.zeros(3), family, np.ones(3))
    model = StudyModel((outcome,), np.ones((1, 1)), np.ones((1, 1, 1)), 61)
    ours = study_log_likelihoods(model, ETA[None, :], np.array([tau])).value + family.log_base(y)
    for i in range(3):
        inside = lambda u, i=i: pmf(name, y[i], ETA[i] + u, i) * stats.norm.pdf(u, scale=tau)  # noqa: E731
        value = integrate.quad(inside, -8, 8, epsabs=0, epsrel=1e-12, limit=200)[0]
        assert np.exp(ours[i]) == pytest.approx(value, rel=1e-10)


def two_outcomes(random, points):
    outcomes = (
        Outcome(np.array([1.0, 9, 3]), np.zeros(3), Binomial(np.array([10.0, 20, 14])), np.ones(3)),
        Outcome(np.array([4.0, 8, 0]), np.zeros(3), Binomial(np.array([12.0, 18, 13])), np.ones(3)),
    )
    return StudyModel(outcomes, np.array([[1.0, 1.0], [1.0, 0.0]]), np.array(random), points)


ONE = [[[0.5]], [[-0.5]]]
TWO = [[[1, 0, 0.5], [0, 0.5, 0]], [[1, 0, -0.5], [0, -0.5, 0]]]
THETA = {1: np.array([0.7]), 3: np.array([1.1, 0.6, -0.3])}


def test_two_random_effects_are_integrated_over_the_plane():
    theta, psi = THETA[3], np.array([[-1.0, 0.3, -0.2], [0.4, -0.2, 0.9]])
    ours = study_log_likelihoods(two_outcomes(TWO, 25), psi, theta).value
    grid = np.linspace(-9, 9, 361)  # the trapezoid rule is exact to rounding for such integrands
    z1, z2 = np.meshgrid(grid, grid, indexing="ij")
    for i in range(3):
        height = -(z1**2 + z2**2) / 2 - np.log(2 * np.pi)
        for g, (y, n) in enumerate((((1, 9, 3), (10, 20, 14)), ((4, 8, 0), (12, 18, 13)))):
            load = np.array(TWO[g]) @ theta
            eta = psi[0, i] + (psi[1, i] if g == 0 else 0) + load[0] * z1 + load[1] * z2
            height = height + y[i] * eta - n[i] * np.logaddexp(0, eta)
        assert ours[i] == pytest.approx(np.log(np.exp(height).sum() * (grid[1] - grid[0]) ** 2), abs=1e-7)


@pytest.mark.parametrize("points", [1, 7])
@pytest.mark.parametrize("random", [ONE, TWO], ids=["one", "two"])
def test_gradient_and_hessian_of_the_quadrature(random, points):
    model, theta = two_outcomes(random, points), THETA[np.shape(random)[2]]
    psi, h = np.array([[-1.0, 0.3, -0.2], [0.4, -0.2, 0.9]]), 1e-4
    here = study_log_likelihoods(model, psi, theta)
    for j in range(2 + len(theta)):
        moved = []
        for step in (h, -h):
            p, t = psi.copy(), theta.copy()
            if j < 2:
                p[j] += step
            else:
                t[j - 2] += step
            moved.append(study_log_likelihoods(model, p, t))
        up, down = moved
        assert (up.value - down.value) / (2 * h) == pytest.approx(here.gradient[:, j], abs=1e-7)
        assert (up.gradient - down.gradient) / (2 * h) == pytest.approx(here.hessian[:, j], abs=1e-6)


def test_hypergeometric_score_is_its_mean_and_variance():
    tables = Counts(np.column_stack([Y, M - Y]), np.column_stack([N1, N2]), "people", ("a", "b", "c"))
    score, variance = hypergeometric_score(tables)
    law = [stats.hypergeom(int(N1[i] + N2[i]), int(N1[i]), int(M[i])) for i in range(3)]
    assert score == pytest.approx([Y[i] - law[i].mean() for i in range(3)])
    assert variance == pytest.approx([law[i].var() for i in range(3)])


TABLES = Counts(
    np.array([[0.0, 0], [0, 2], [3, 4], [5, 5]]),
    np.array([[10.0, 12], [9, 9], [8, 8], [5, 5]]),
    "people",
    tuple("abcd"),
)


@pytest.mark.parametrize(
    ("to", "drop00", "touched"),
    [
        ("only0", False, [True, True, False, True]),
        ("only0", True, [False, True, False, False]),
        ("if0all", True, [False, True, True, False]),
        ("all", True, [False, True, True, False]),
        ("all", False, [True, True, True, True]),
        ("none", False, [False] * 4),
    ],
)
def test_which_tables_get_the_constant(to, drop00, touched):
    changed, used = adjusted(TABLES, 0.5, to, drop00)
    assert (changed.events[:, 0] - TABLES.events[:, 0]).tolist() == [0.5 * t for t in touched]
    assert (changed.totals[:, 0] - TABLES.totals[:, 0]).tolist() == [1.0 * t for t in touched]
    assert used.tolist() == ([False, True, True, False] if drop00 else [True] * 4)


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        ("OR", np.log(4 * 90 / (10 * 6))), ("RR", np.log(4 / 10 / (10 / 100)) - np.log(1)), ("RD", 0.4 - 0.1),
    ],
)  # fmt: skip
def test_observed_effects(measure, expected):
    tables = Counts(np.array([[4.0, 10]]), np.array([[10.0, 100]]), "people", ("a",))
    assert observed_effects(measure, tables)[0][0] == pytest.approx(expected)


BAD = {
    "missing": ({"ai": [1]}, "OR needs ai, bi, ci, di, or ai, n1i, ci, n2i"),
    "nothing": ({}, "OR needs ai, bi, ci, di, or ai, n1i, ci, n2i"),
    "foreign": ({"xi": [1]}, "OR has no use for xi: it takes ai, bi, ci, di, or ai, n1i, ci, n2i"),
    "lengths": (
        {"ai": [1, 2], "bi": [1], "ci": [1], "di": [1]},
        "the counts have different lengths (ai has 2, bi has 1, ci has 1, di has 1): give one value per study for each",
    ),
    "negative": (
        {"ai": [1, -2], "bi": [1, 3], "ci": [1, 1], "di": [1, 1]},
        "ai is negative in study 2: a count of events, people or time is zero or more",
    ),
    "too many": (
        {"ai": [1, 5], "n1i": [2, 3], "ci": [1, 1], "n2i": [2, 2]},
        "ai is larger than n1i in study 2: no group has more events than people",
    ),
    "contradiction": (
        {"ai": [1], "bi": [2], "n1i": [4], "ci": [1], "di": [1]},
        "n1i differs from ai + bi in study 1: give either n1i or bi, or mend the row",
    ),
    "infinite": (
        {"ai": [1], "bi": [np.inf], "ci": [1], "di": [1]},
        "bi is infinite in study 1: a count is a finite number",
    ),
    "text": ({"ai": ["many"], "bi": [1], "ci": [1], "di": [1]}, "ai holds something that is not a number"),
    "no data": ({"ai": "a", "bi": [1], "ci": [1], "di": [1]}, 'ai names the column "a", but there are no data'),
    "empty": ({"ai": [], "bi": [], "ci": [], "di": []}, "there are no studies to combine"),
    "matrix": ({"ai": [[1]], "bi": [1], "ci": [1], "di": [1]}, "ai has 2 dimensions; it needs one value per study"),
    "all missing": (
        {"ai": [np.nan], "bi": [1], "ci": [1], "di": [1]},
        "no study has complete counts (left out because a count is missing: study 1)",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_counts_are_named(name):
    columns, message = BAD[name]
    with pytest.raises(ModelError) as problem:
        read_counts("OR", columns, None)
    assert str(problem.value) == message


def test_what_is_left_out_is_told():
    counts, kept, notes = read_counts(
        "IRR", {"x1i": [1, 2.5, 3], "t1i": [5, 6, 0], "x2i": [1, 1, 1], "t2i": [4, 4, 4]}, None
    )
    assert kept.tolist() == [0, 1]
    assert counts.k == 2
    assert notes == (
        "left out because a group has no time at risk: study 3",
        "counts that are not whole numbers, taken as they are: study 2",
    )
