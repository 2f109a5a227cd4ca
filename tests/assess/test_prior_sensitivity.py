"""One model under several priors: the rows are the fits, and the verdict says what changes."""

import numpy as np
import pytest

import catharsis as ca
from catharsis.assess.prior_comparison import around
from catharsis.bayes.priors import Priors
from catharsis.errors import ModelError

CLEAR = {"yi": [0.5, 0.4, 0.6, 0.3], "vi": [0.02, 0.03, 0.02, 0.02]}
THIN = {"yi": [0.9, 0.5], "vi": [0.09, 0.12]}


def test_rows_are_fits():
    sets = {"one": Priors(), "two": Priors.parse({"mu": "flat", "tau": "half-cauchy(1)"})}
    found = ca.prior_sensitivity(**CLEAR, priors=sets, level=0.9)
    for name, priors in sets.items():
        post = ca.fit_bayes(**CLEAR, priors=priors, level=0.9)
        row = found.frame.loc[name]
        assert (row["estimate"], row["low"], row["high"]) == (post.mu.mean, post.mu.low, post.mu.high)
        assert (row["tau"], row["positive"]) == (post.tau.median, post.mu.positive)
    assert found.frame.loc["one", "bf"] == pytest.approx(1 / ca.fit_bayes(**CLEAR).bayes_factor("mu = 0"))
    assert np.isnan(found.frame.loc["two", "bf"])
    assert found.notes == ("a Bayes factor is missing where the prior is improper or the posterior was sampled",)


def test_clear_data_conclude_the_same():
    found = ca.prior_sensitivity(**CLEAR)
    assert found.verdict == f"no conclusion changes over {len(found.frame)} sets of priors"
    assert found.changes == ()
    assert found.frame["low"].min() > 0


def test_thin_data_do_not():
    sets = {
        "wide": Priors.parse({"mu": "normal(0, 10)", "tau": "half-cauchy(1)"}),
        "no spread": Priors.parse({"tau": "fixed(0)"}),
    }
    found = ca.prior_sensitivity(**THIN, priors=sets)
    assert found.changes[0] == (
        "the sign of intercept by its interval is open under the reference and positive under no spread"
    )
    assert found.verdict.startswith("over 2 sets of priors: the sign of intercept")


def test_a_narrow_prior_moves_the_estimate():
    sets = [Priors(), Priors.parse({"mu": "normal(0, 0.05)"})]
    found = ca.prior_sensitivity(**CLEAR, priors=sets)
    assert any(change.startswith("the estimate moves by more than half a posterior sd") for change in found.changes)
    assert list(found.frame.index) == [str(each) for each in sets]


def test_another_term():
    x = np.column_stack([np.ones(6), np.arange(6.0)])
    data = {"yi": [0.1, 0.3, 0.4, 0.7, 0.8, 1.1], "vi": [0.02] * 6, "X": x}
    found = ca.prior_sensitivity(**data, term="x2")
    assert 0.15 < found.frame["estimate"].iloc[0] < 0.25
    with pytest.raises(ModelError, match='there is no "x3"'):
        ca.prior_sensitivity(**data, term="x3")


def test_an_impossible_fit_is_a_note_but_not_of_the_reference():
    sets = {"a": Priors(), "b": Priors(), "improper": Priors.parse({"mu": "flat", "tau": "jeffreys"})}
    one = {"yi": [0.3], "vi": [0.1]}
    found = ca.prior_sensitivity(**one, priors=sets)
    assert list(found.frame.index) == ["a", "b"]
    assert found.notes[0].startswith("no posterior under improper: ")
    with pytest.raises(ModelError, match="improper"):
        ca.prior_sensitivity(**one, priors=dict(reversed(sets.items())))


@pytest.mark.parametrize(
    ("priors", "message"),
    [
        ([Priors()], "two sets of priors or more"),
        ([], "two sets of priors or more"),
        (Priors(), "priors is a list of Priors"),
        ("flat", "priors is a list of Priors"),
        (["flat", "flat"], "each set of priors is a Priors"),
    ],
)
def test_what_is_not_a_set_of_priors(priors, message):
    with pytest.raises(ModelError, match=message):
        ca.prior_sensitivity(**CLEAR, priors=priors)


def test_priors_around_one():
    found = around(Priors.parse({"mu": "cauchy(0, 0.4)", "tau": "turner"}))
    assert {name: str(each.mu) for name, each in found.items()}["average doubled"] == "cauchy(0, 0.8)"
    assert found["half-Cauchy tau"].tau.quantile(0.5) == pytest.approx(found["reference"].tau.quantile(0.5))
    assert str(around(Priors())["tau halved"].tau) == "half-normal(0.25)"
