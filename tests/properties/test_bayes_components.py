"""What holds for any posterior with several spreads or t priors: order, sign, unit, names, and simpler models met."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catharsis.bayes.fit import fit_bayes
from catharsis.bayes.priors import Prior, Priors
from catharsis.errors import ModelError

SOME = settings(max_examples=6, deadline=None)
NAMES = ("mean", "sd", "median", "low", "high")
MODELS = [
    {"random": "study/effect"},
    {"random": "group | study", "struct": "DIAG"},
    {"heavy": True},
]
AGREE = 1e-6  # the error that the engine promises

effects = st.floats(-2, 2).map(lambda x: round(x, 3))
variances = st.floats(0.01, 1).map(lambda x: round(x, 4))


@st.composite
def problems(draw):
    k = draw(st.integers(5, 8))
    frame = pd.DataFrame({
        "yi": draw(st.lists(effects, min_size=k, max_size=k)),
        "vi": draw(st.lists(variances, min_size=k, max_size=k)),
        "study": [i // 2 for i in range(k)], "effect": np.arange(k), "group": ["a", "b"] * (k // 2) + ["a"] * (k % 2),
    }, index=[f"e{i}" for i in range(k)])  # fmt: skip
    return frame, draw(st.sampled_from(MODELS))


def fitted(frame, model, c=1.0, sign=1.0):
    centre = 0.3 * sign
    mu = Prior("cauchy", (centre * c, 0.5 * c)) if model.get("heavy") else Prior("normal", (centre * c, c))
    priors = Priors(mu, mu.at_zero(), Prior("half-normal", (0.5 * c,)))
    asked = {name: value for name, value in model.items() if name != "heavy"}
    return fit_bayes("yi ~ 1", frame, priors=priors, **asked)


def close(found, expected, factor=1.0):
    for name in NAMES:
        value = getattr(expected, name)
        assert getattr(found, name) == pytest.approx(factor * value, rel=AGREE, abs=AGREE * abs(factor) * expected.sd)


@SOME
@given(problems(), st.randoms(use_true_random=False))
def test_order_does_not_matter(problem, random):
    frame, model = problem
    order = random.sample(range(len(frame)), len(frame))
    one, two = fitted(frame, model), fitted(frame.iloc[order], model)
    close(two.mu, one.mu)
    close(two.new, one.new)
    for factor, tau in one.taus.items():
        close(two.taus[factor], tau)
    for label in list(one.studies)[:2]:
        close(two.studies[label], one.studies[label])


@SOME
@given(problems(), st.sampled_from([1e-3, 1e3]))
def test_units_do_not_matter(problem, c):
    frame, model = problem
    one, two = fitted(frame, model), fitted(frame.assign(yi=c * frame["yi"], vi=c**2 * frame["vi"]), model, c)
    close(two.mu, one.mu, c)
    close(two.tau, one.tau, c)
    assert two.log_marginal == pytest.approx(one.log_marginal - len(frame) * np.log(c), abs=1e-6)
    assert two.error < AGREE


@SOME
@given(problems())
def test_a_mirror_flips_the_answer(problem):
    frame, model = problem
    one, two = fitted(frame, model), fitted(frame.assign(yi=-frame["yi"]), model, sign=-1.0)
    assert two.mu.mean == pytest.approx(-one.mu.mean, abs=AGREE * one.mu.sd)
    assert two.mu.low == pytest.approx(-one.mu.high, abs=AGREE * one.mu.sd)
    assert two.log_marginal == pytest.approx(one.log_marginal, abs=1e-6)


@SOME
@given(problems())
def test_names_of_levels_do_not_matter(problem):
    frame, model = problem
    other = frame.assign(study="s" + frame["study"].astype(str), group=frame["group"].map({"a": "one", "b": "two"}))
    one, two = fitted(frame, model), fitted(other, model)
    for a, b in zip(one.taus.values(), two.taus.values(), strict=True):
        close(b, a)


@SOME
@given(problems())
def test_many_degrees_of_freedom_are_a_normal_prior(problem):
    frame, _ = problem
    tau = Prior("half-normal", (0.5,))
    one = fit_bayes("yi ~ 1", frame, priors=Priors(Prior("normal", (0.3, 1)), tau=tau))
    two = fit_bayes("yi ~ 1", frame, priors=Priors(Prior("t", (1e7, 0.3, 1)), tau=tau))
    assert two.mu.mean == pytest.approx(one.mu.mean, abs=1e-5 * one.mu.sd)
    assert two.log_marginal == pytest.approx(one.log_marginal, abs=1e-5)


@SOME
@given(problems())
def test_a_component_known_to_be_0_is_not_there(problem):
    frame, _ = problem
    priors = Priors(taus={"effect": Prior("fixed", (0.0,))})
    one, two = (
        fit_bayes("yi ~ 1", frame, random="study/effect", priors=priors),
        fit_bayes("yi ~ 1", frame, random="study"),
    )
    close(one.mu, two.mu)
    close(one.taus["study"], two.taus["study"])
    whole = fit_bayes("yi ~ 1", frame, random="study/effect")
    assert whole.bayes_factor("tau[effect] = 0") == pytest.approx(whole.bayes_factor(against=two) ** -1, rel=AGREE)


FRAME = pd.DataFrame({"yi": [0.1, 0.2, 0.5, 0.4], "vi": [0.1] * 4, "study": [1, 1, 2, 2], "effect": range(4),
                      "group": list("abab"), "label": ["Lee", "Lee", "Kim", "Lee (2)"]})  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"random": "studie"}, "studie"),
        ({"random": 3}, "random"),
        ({"struct": "DIAG"}, "struct="),
        ({"random": "study", "struct": "DIAG"}, "struct="),
        ({"random": "group | study", "struct": "DAIG"}, 'did you mean "DIAG"'),
        ({"random": "group | study"}, 'engine="nuts"'),
        ({"random": "group | study", "struct": "UN"}, 'engine="nuts"'),
        ({"V": np.eye(3)}, "V has shape"),
        ({"V": np.full((4, 4), 0.1), "random": "study/effect"}, "V is not positive definite"),
        ({"V": "rho"}, "V cannot be read"),
        ({"V": np.diag([0.1, 0.1, np.nan, 0.1])}, "not finite"),
        ({"priors": "half-normal(0.5)"}, "Priors"),
        ({"priors": {"mu": "flat"}}, "Priors"),
        ({"random": "study/effect", "priors": Priors(taus={"lab": Prior("half-normal", (1,))})}, "lab"),
        ({"random": "study/effect", "priors": Priors(Prior("flat"), tau=Prior("uniform"))}, "posterior is improper"),
        ({"random": "study/effect", "priors": Priors(Prior("flat"), taus={"study": Prior("uniform")})},
         "standard deviation of study, 2 levels and 1 coefficient with a flat prior"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_in_words(arguments, why):
    with pytest.raises(ModelError) as refusal:
        fit_bayes("yi ~ 1", FRAME, **arguments)
    assert why in str(refusal.value)


def test_tau_as_a_whole_is_tested_at_0_only():
    post = fit_bayes("yi ~ 1", FRAME, random="study/effect")
    assert post.bayes_factor("tau = 0") > 0
    with pytest.raises(ModelError, match="leaves open how the variances share it"):
        post.bayes_factor("tau = 0.1")


def test_labels_that_repeat_stay_apart():
    post = fit_bayes("yi ~ 1", FRAME.set_index("label"), random="study/effect")
    assert len(post.studies) == len(set(post.studies)) == 4
