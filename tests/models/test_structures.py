"""Structured random effects: R's numbers, a maximum that is one, and what holds for any data."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from catharsis.errors import ModelError
from catharsis.likelihood.marginal import log_likelihood, moments
from catharsis.likelihood.structures import Coordinates, Structure, coordinates, level_covariance, pairs
from catharsis.models.fit import fit
from catharsis.models.structured_components import APART, Space, _evaluate, _score, starts

HERE = Path(__file__).parent / "data"
DATA = pd.read_csv(HERE / "structures.csv")  # source: data/structures.R, which says how R's numbers were made
THEIRS = pd.read_csv(HERE / "structures_metafor.csv").set_index(["case", "field"])["value"]
DATA["neg"] = -DATA["yi"] * np.tile([1, -1, 1], 20)
APART_ALWAYS = DATA[~((DATA.study <= 10) & (DATA.out == "a")) & ~((DATA.study > 10) & (DATA.out == "b"))]
TWICE = DATA.copy()
TWICE.loc[[1, 7, 13], "out"] = "a"

# R's optimiser stops where the likelihood no longer moves; worst difference seen 4e-5, of SPLIN's range
RTOL, LL = 1e-4, 1e-8
ROOT = 1e-3  # R looks for the limits to about four digits; worst difference seen 5e-4

# (row, column) of the first or last parameter's limits at which R's other correlations no longer form a correlation
# matrix; ours do, so the profile falls sooner. From rma.mv(..., rho = c(NA, NA, .9557)) and its like.
BEYOND = {"UN": [(1, 1)], "never together UN": [(0, 0), (1, 1)]}

CASES = {
    **{kind: (DATA, "yi ~ 1", {"random": "time | study", "struct": kind}) for kind in ("AR", "CAR", "HAR")},
    **{kind: (DATA, "yi ~ 1", {"random": "out | study", "struct": kind}) for kind in ("CS", "UN", "HCS", "ID", "DIAG")},
    **{
        kind: (DATA, "yi ~ 1", {"random": ["time + x | study"], "struct": kind})
        for kind in ("SPEXP", "SPGAU", "SPLIN", "SPRAT", "SPSPH")
    },
    "GEN": (DATA, "yi ~ 1", {"random": "x | study", "struct": "GEN"}),
    "negative CS": (DATA.assign(yi=DATA.neg), "yi ~ 1", {"random": "out | study"}),
    "never together UN": (APART_ALWAYS, "yi ~ 1", {"random": "out | study", "struct": "UN"}),
    "repeated UN": (TWICE, "yi ~ 1", {"random": "out | study", "struct": "UN"}),
    "repeated CS": (TWICE, "yi ~ 1", {"random": "out | study", "struct": "CS"}),
    "combined": (DATA, "yi ~ 1", {"random": "lab + out | study", "struct": "HCS"}),
    "held": (
        DATA, "yi ~ 1",
        {"random": ["1 | lab", "~ out | study"], "struct": "UN", "tau2": [0.1, None, None], "rho": [np.nan, 0.3, None]},
    ),
    "held sigma2": (DATA, "yi ~ 1", {"random": "study/id", "sigma2": [None, 0.05]}),
}  # fmt: skip


@pytest.mark.parametrize("case", list(CASES))
def test_metafor(case):
    data, formula, options = CASES[case]
    model, theirs = fit(formula, data, **options), THEIRS[case]
    assert model.llf >= theirs["ll"] - LL
    assert model.parameters == theirs["parms"]
    assert [model.beta[0], model.se[0]] == pytest.approx([theirs["beta"], theirs["se"]], rel=RTOL)
    symbols = ("sigma2", "tau2", "rho", "gamma2", "phi")
    expected = [
        value
        for field, value in theirs.items()
        if field.split(".")[0] in symbols and not field.endswith(("lb", "ub")) and "^" not in field
    ]
    if options.get("struct") in ("ID", "DIAG"):
        expected = expected[: len(model.theta)]  # R reports rho = 0 as well
    assert model.theta == pytest.approx(expected, rel=RTOL, abs=1e-5)


@pytest.mark.parametrize("case", ["AR", "CAR", "UN", "SPEXP", "never together UN", "held sigma2"])
def test_profile_intervals_of_metafor(case):
    data, formula, options = CASES[case]
    model, theirs = fit(formula, data, **options), THEIRS[case]
    free = [name for name, held in model.components()["held"].items() if not held]
    limits = theirs[[field.endswith(("lb", "ub")) for field in theirs.index]].to_numpy(copy=True).reshape(-1, 2)
    limits = limits[[0, -1]] if len(free) > 1 else limits
    frame = model.confint_components(list(dict.fromkeys([free[0], free[-1]])))
    ours = frame[["low", "high"]].to_numpy()
    for row, column in BEYOND.get(case, ()):
        assert limits[row, 0] < ours[row, 0] + 1e-4
        assert ours[row, 1] < limits[row, 1] + 1e-4
        limits[row, column] = ours[row, column]
    assert ours == pytest.approx(limits, rel=ROOT, abs=1e-4)


@pytest.mark.parametrize("rho", [(0.8812616, 0.6142032, 0.9557), (0, 0.5020142, 0.90499), (0, 1, 0.4526456)])
def test_metafor_profiles_beyond_the_covariance_matrices(rho):
    """The correlations that maximise R's likelihood at its limits of BEYOND: no covariance matrix has them."""
    R = np.eye(3)
    for value, (i, j) in zip(rho, pairs(3), strict=True):
        R[i, j] = R[j, i] = value
    assert np.linalg.eigvalsh(R)[0] < -0.01


def test_two_terms():
    """gamma2 and phi: the second term's variances vanish, so R's phi is where its search began."""
    model = fit("yi ~ 1", DATA[DATA.lab < 6], random=["out | study", "time | lab"], struct=["CS", "HAR"])
    theirs = THEIRS["two terms"]
    assert model.llf >= theirs["ll"] - LL
    assert [model.tau2, model.rho] == pytest.approx([theirs["tau2.1"], theirs["rho.1"]], rel=RTOL)
    assert model.gamma2.to_numpy() == pytest.approx([theirs[f"gamma2.{n}"] for n in (1, 2, 3)], abs=1e-5)
    assert 0 <= abs(model.phi) <= 1


@pytest.mark.parametrize("case", ["UN", "HCS", "CAR", "GEN", "SPEXP", "held", "combined"])
@pytest.mark.parametrize("reml", [True, False])
def test_the_score_is_the_slope_of_the_likelihood(case, reml):
    data, formula, options = CASES[case]
    model = fit(formula, data, **options)
    first, parts = model.blocks.intercepts, []
    for structure in model.blocks.structures:
        parts.append(coordinates(structure, model.held_at[first : first + structure.parameters]))
        first += structure.parameters
    space = Space(model.blocks, model.held_at, tuple(parts), reml)
    here = space.point(starts(model.blocks)[1])
    score = _score(space, _evaluate(space, here))[0]
    for j in np.flatnonzero(space.free()):
        step = APART * np.eye(len(here))[j]
        by_difference = (_evaluate(space, here + step).height - _evaluate(space, here - step).height) / (2 * APART)
        assert score[j] == pytest.approx(by_difference, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("kind", ["UN", "HCS", "CS", "HAR"])
def test_no_neighbour_is_higher(kind):
    model = fit("yi ~ out - 1", DATA, random="out | study", struct=kind)
    rng = np.random.default_rng(7)
    for _ in range(60):
        theta = model.theta * (1 + 0.02 * rng.standard_normal(len(model.theta)))
        there = log_likelihood(model.blocks, moments(model.blocks, theta), True)
        assert there <= model.llf + 1e-10


@pytest.mark.parametrize("given", [{}, {(1, 0): 0.3}, {(2, 1): -0.2, (3, 2): 0.5}, {(1, 0): 0.2, (3, 2): 0.4}])
def test_coordinates_return_what_went_in(given):
    """Any correlation matrix is a point; held correlations keep their value wherever the others go."""
    structure = Structure("a | b", "UN", tuple("abcd"), ("tau2", "rho"), np.ones(4), 1.0)
    held = np.array([np.nan] * 4 + [given.get(pair, np.nan) for pair in pairs(4)])
    space = coordinates(structure, held)
    assert isinstance(space, Coordinates)
    rng = np.random.default_rng(1)
    A = np.eye(4) + 0.3 * rng.standard_normal((4, 4))
    C = A @ A.T
    R = C / np.sqrt(np.outer(np.diag(C), np.diag(C)))
    theta = np.concatenate([np.diag(C), [R[pair] for pair in pairs(4)]])
    if not given:
        assert space.natural(space.point(theta)) == pytest.approx(theta, rel=1e-12)
    else:
        found = space.natural(space.point(theta))
        assert all(found[4 + pairs(4).index(pair)] == value for pair, value in given.items())
        assert np.linalg.eigvalsh(level_covariance(structure, found))[0] > -1e-12


@pytest.mark.parametrize("c", [1e-8, 1e3, 1e8])
@pytest.mark.parametrize(
    "options",
    [
        {"random": "out | study", "struct": "UN"},
        {"random": ["lab", "out | study"], "struct": "HCS"},
        {"random": "time | study", "struct": "CAR"},
        {"random": "x | study", "struct": "GEN"},
        {"random": "study/id"},
    ],
)
def test_scale_and_order_do_not_matter(options, c):
    model = fit("yi ~ x", DATA, **options)
    order = np.random.default_rng(3).permutation(len(DATA))
    other = fit("yi ~ x", DATA.assign(yi=c * DATA.yi, vi=c * c * DATA.vi).iloc[order], **options)
    unit = np.where(model.components()["sd"].notna(), c * c, 1.0)
    assert other.theta / unit == pytest.approx(model.theta, rel=1e-8, abs=1e-10)
    assert other.beta / c == pytest.approx(model.beta, rel=1e-9)


def test_names_of_levels_do_not_matter():
    model = fit("yi ~ 1", DATA, random="out | study", struct="UN")
    renamed = DATA.assign(out=DATA.out.map({"a": "z", "b": "y", "c": "x"}), study=DATA.study.map("study {}".format))
    other = fit("yi ~ 1", renamed, random="out | study", struct="UN")
    assert other.llf == pytest.approx(model.llf, rel=1e-12)
    assert other.tau2[["z", "y", "x"]].to_numpy() == pytest.approx(model.tau2.to_numpy(), rel=1e-7)
    G = model.random_covariance()
    assert other.random_covariance().loc["y", "z"] == pytest.approx(G.loc["a", "b"], rel=1e-7)


def test_compound_symmetry_is_the_three_level_model():
    """One effect per cell: tau2 = sigma2_study + sigma2_effect, rho = sigma2_study / tau2."""
    nested, structured = fit("yi ~ x", DATA, random="study/id"), fit("yi ~ x", DATA, random="id | study")
    assert structured.tau2 == pytest.approx(nested.theta.sum(), rel=1e-6)
    assert structured.rho == pytest.approx(nested.theta[0] / nested.theta.sum(), rel=1e-6)
    assert structured.llf == pytest.approx(nested.llf, rel=1e-12)
    assert structured.beta == pytest.approx(nested.beta, rel=1e-6)


def test_identity_is_one_random_effect_per_effect():
    own = fit("yi ~ x", DATA, random="id")
    for kind in ("ID", "CS"):
        other = fit("yi ~ x", DATA.assign(one=DATA.id), random="id | one", struct=kind)
        assert other.tau2 == pytest.approx(own.sigma2["id"], rel=1e-6)
    assert "held at 0" in other.notes[0]


def test_a_boundary_is_noted_and_reached():
    model = fit("yi ~ 1", DATA, random="x | study", struct="GEN")
    assert model.rho.to_numpy() == pytest.approx([1], abs=1e-12)
    assert model.notes == ("rho[intercept,x] is estimated at its boundary, 1",)


def test_a_zero_variance_leaves_its_correlation_unknown():
    same = DATA.assign(yi=0.01 * np.tile([1.0, -1.0, 0.5], 20), vi=1.0)
    model = fit("yi ~ 1", same, random="out | study", struct="CS")
    assert model.tau2 == 0
    assert "tau2 is estimated at its boundary, zero" in model.notes


MISTAKES = [
    ({"random": "out | study", "struct": "XX"}, 'there is no structure "XX": use one of: CS, HCS'),
    ({"random": "out | stud"}, '"stud" in random="out | stud" is not a column of the data: did you mean "study"?'),
    ({"random": "study", "struct": "UN"}, 'struct= belongs to "inner | outer" terms, and random= has none'),
    ({"random": ["out | study", "out | lab", "out | id"]}, "random= has 3 inner | outer terms; at most 2"),
    ({"random": "out | study", "struct": ["UN", "CS"]}, "struct= names 2 kinds for 1 inner | outer terms"),
    ({"random": "out | study | lab"}, 'random="out | study | lab" cannot be read: write "inner | outer"'),
    ({"random": "out | study", "struct": "CAR"}, "out in random='out | study' is not a number; its kind goes by"),
    ({"random": "out | study", "tau2": -1}, "tau2 is held at -1; for CS of out | study it lies between 0 and inf"),
    ({"random": "out | study", "rho": -0.9}, "rho is held at -0.9; for CS of out | study it lies between -0.5 and 1"),
    ({"random": "out | study", "struct": "UN", "rho": [0.1, 0.2]}, "rho has 2 values; UN of out | study has 3"),
    ({"random": "out | study", "gamma2": 1}, "gamma2 is given, but random= has no second inner | outer term for it"),
    ({"random": "study/id", "sigma2": [1]}, "sigma2 has 1 values for 2 random factors (study, id)"),
    (
        {"random": "out | study", "struct": "UN", "rho": [0.9, 0.9, -0.9]},
        "the correlations given for out | study cannot hold together: their matrix is not positive definite",
    ),
    ({"random": "out | study", "test": "kr"}, "kr belongs to univariate models; with random factors use test='z'"),
]


@pytest.mark.parametrize(("options", "words"), MISTAKES)
def test_mistakes_are_named(options, words):
    with pytest.raises(ModelError) as problem:
        fit("yi ~ 1", DATA, **options)
    assert str(problem.value).startswith(words)


def test_a_missing_level_names_its_rows():
    holed = DATA.copy()
    holed.loc[[3, 7], "out"] = None
    with pytest.raises(ModelError, match=r"^out in random='out \| study' is missing in 2 rows \(3, 7\)$"):
        fit("yi ~ 1", holed, random="out | study")


BEGG = pd.DataFrame(  # metadat's dat.begg1989; Begg and Pilote (1991, Biometrics 47, 899-906)
    {
        "study": [1, 1, 2, 2, 3, 3, 4, 4, *range(5, 17)],
        "trt": [*["BMT", "CMO"] * 4, *["BMT"] * 4, *["CMO"] * 8],
        "yi": [0.46, 0.25, 0.5, 0.23, 0.47, 0.42, 0.7, 0.48, 0.46, 0.43, 0.49, 0.53, 0.21, 0.32, 0.48, 0.26, 0.33,
               0.38, 0.24, 0.53],
        "sei": [0.118, 0.074, 0.1, 0.067, 0.129, 0.086, 0.23, 0.167, 0.081, 0.034, 0.088, 0.079, 0.051, 0.039, 0.094,
                0.046, 0.029, 0.033, 0.084, 0.084],
    }
).assign(vi=lambda frame: frame["sei"] ** 2)  # fmt: skip


def test_an_interval_sees_the_other_hill():
    """The estimate lies at a negative correlation; large variances fit best with a positive one."""
    model = fit("yi ~ trt", BEGG, random="trt | study")
    assert model.rho < 0
    high = model.confint_components(["tau2"])["high"].iloc[0]
    assert high == pytest.approx(0.0111012766364182, rel=1e-6)  # confint(rma.mv(...)), metafor 3.8
    profile = max(model.at(np.array([high, rho])).llf for rho in np.linspace(-1, 1, 2001))
    assert model.llf - profile == pytest.approx(3.841458820694124 / 2, abs=1e-3)


def perfectly_correlated(gap):
    """Ten studies with two effects; those of the first differ by `gap`, and their sampling errors are the same."""
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"study": np.repeat(range(10), 2), "time": [0, 1] * 10, "yi": rng.normal(0, 0.4, 20)})
    frame.loc[1, "yi"] = frame.loc[0, "yi"] + gap
    V = np.kron(np.eye(10), [[0.04, 0.02], [0.02, 0.04]])
    V[:2, :2] = 0.04
    return frame.assign(vi=0.04), V


@pytest.mark.parametrize("struct", ["ID", "CS", "AR"])
def test_an_infinite_likelihood_is_refused(struct):
    """As in dat.fine1993 with ML, where R stops at variances of 1e-14."""
    frame, V = perfectly_correlated(0.0)
    frame["yi"] = np.round(frame["yi"] * 1e-3, 6)  # nothing but sampling error: the way to zero is the only one
    with pytest.raises(ModelError, match=r"grows without bound .* V of effects 1, 2 is singular"):
        fit("yi ~ 1", frame, V=V, random="time | study", struct=struct, method="ML")


def test_a_singular_V_may_have_a_maximum():
    frame, V = perfectly_correlated(0.5)
    model = fit("yi ~ 1", frame, V=V, random="time | study", struct="ID")
    moved = [model.at(model.theta * factor).llf for factor in (0.99, 1.01)]
    assert model.tau2 > 0.01
    assert model.llf > max(moved)


def test_a_correlation_that_no_covariance_matrix_has():
    """R looks for rho of CS down to -1; below -1 / (levels - 1) there is no covariance matrix of all levels."""
    rng = np.random.default_rng(1)
    u = rng.normal(0, 1, 30)
    frame = pd.DataFrame(
        {"study": np.repeat(range(30), 2), "out": np.ravel([rng.choice(list("abcd"), 2, replace=False) for _ in u]),
         "yi": np.ravel(np.column_stack([u, -u])) + rng.normal(0, 0.1, 60), "vi": 0.05}
    )  # fmt: skip
    model = fit("yi ~ 1", frame, random="out | study")
    assert model.rho == -1 / 3
    theirs = np.array([model.tau2, -0.95])
    assert model.at(theirs).llf > model.llf
    assert np.linalg.eigvalsh(level_covariance(model.blocks.structures[0], theirs))[0] < -model.tau2


def test_a_correlation_that_the_data_never_show():
    """Studies with several effects of one level only: R reports and counts rho at its start, 0.5."""
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(
        {"study": np.repeat(range(12), 2), "out": np.repeat(list("ab"), 12), "yi": rng.normal(size=24)}
    )
    found = [
        fit("yi ~ out", frame.assign(vi=0.05), random="out | study", struct="HCS", rho=rho) for rho in (None, 0.0, 0.5)
    ]
    assert [model.llf for model in found] == pytest.approx([found[0].llf] * 3, rel=1e-12)
    assert found[0].rho == 0
    assert "held at 0" in " ".join(found[0].notes)


def test_times_are_levels_in_order():
    frame = DATA.iloc[::-1]
    assert fit("yi ~ 1", frame, random="time | study", struct="CAR").blocks.structures[0].levels == tuple(
        f"{time:g}" for time in sorted(set(DATA.time))
    )
