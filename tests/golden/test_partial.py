"""Posteriors of partial evidence against brute-force ones: `pytest tests/golden --partial-dir DIR`.

The reference integrates the true effect of a partial row by 80 Gauss-Hermite nodes. Where tau is large against a row's
standard error the edge of its region is too sharp for them: its log marginal likelihood is then off by 1e-5 and
P(mu > 0) by up to 3e-4. Ours has that integral in closed form. The tests below show who is right: with 80 nodes we give
the reference's numbers to 1e-8, and as nodes are added the numbers come to ours.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from golden_adapters.partial import TOLERANCE, answer, differences, judge, read_cases, reference_rule, theirs
from scipy import stats

from catharsis.likelihood.partial import partial_evidence

SHIPPED = {case["id"]: case for case in read_cases(Path(__file__).parent / "data" / "partial")}
ROUGH = "a-2"  # where the reference's rule is furthest off


def test_partial_case(partial_case, golden_report):
    verdict, why, worst = judge(partial_case)
    row = golden_report.setdefault(
        "partial",
        {"cases": 0, "passed": 0, "failed": 0, "not_supported": 0, "worst_difference": 0.0, "failures": {},
         "passed_because": {}},
    )  # fmt: skip
    row["cases"] += 1
    row["passed"] += verdict in ("passed", "reason")
    row["failed"] += verdict == "failed"
    row["not_supported"] += verdict == "not supported"
    if verdict == "passed":
        row["worst_difference"] = max(row["worst_difference"], worst)
    else:
        row["passed_because" if verdict == "reason" else "failures"][partial_case["id"]] = why
    assert verdict in ("passed", "reason"), f"{partial_case['id']}: {why}"


def test_the_reference_rule_gives_the_reference_numbers():
    gaps = [abs(reference_rule(SHIPPED[ROUGH])[key] - value) for key, value in theirs(SHIPPED[ROUGH]).items()]
    assert max(gaps) < 1e-8


def test_more_nodes_come_to_us():
    ours = answer(SHIPPED[ROUGH])
    with_80, with_250 = (
        max(abs(found[key] - ours[key]) for key in ("log_marginal", "p_mu_gt_0"))
        for found in (theirs(SHIPPED[ROUGH]), reference_rule(SHIPPED[ROUGH], 250))
    )
    assert with_80 > 1e-4
    assert with_250 < 0.05 * with_80


def region_probability(row, theta):
    """P(region | theta) by scipy's noncentral t, or its normal for a correlation."""
    alpha = row.get("alpha")
    if row["design"] == "correlation":
        n = row["n"]
        t = stats.t.isf(alpha / 2, n - 2) if alpha else 0.0
        critical, law = np.arctanh(t / np.sqrt(n - 2 + t**2)), stats.norm(theta, 1 / np.sqrt(n - 3))
    else:
        n = [row["n"]] if row["design"] == "one-sample" else [row["n1"], row["n2"]]
        df, m = sum(n) - len(n), np.sqrt(n[0] if len(n) == 1 else n[0] * n[1] / sum(n))
        critical, law = (stats.t.isf(alpha / 2, df) if alpha else 0.0), stats.nct(df, theta * m)
    if row["kind"] == "direction":
        low, high = 0.0, np.inf
    elif row["verdict"] == "sig":
        low, high = critical, np.inf
    else:
        low, high = (-critical, critical) if row["sign"] == 0 else (0.0, critical)
    if row["sign"] < 0:
        low, high = -high, -low
    return law.cdf(high) - law.cdf(low)


def test_region_probabilities_are_scipys():
    rng = np.random.default_rng(7)
    theta = np.linspace(-1.5, 1.5, 7)
    for _ in range(40):
        design = str(rng.choice(["one-sample", "two-sample", "correlation"]))
        row = {"kind": str(rng.choice(["direction", "bounds"])), "design": design, "sign": int(rng.choice([-1, 1]))}
        row |= (
            {"n1": int(rng.integers(3, 300)), "n2": int(rng.integers(3, 300))}
            if design == "two-sample"
            else {"n": int(rng.integers(4, 500))}
        )
        if row["kind"] == "bounds":
            row |= {"alpha": float(rng.choice([0.1, 0.05, 0.01])), "verdict": str(rng.choice(["sig", "ns"]))}
            row["sign"] = int(rng.choice([-1, 0, 1])) if row["verdict"] == "ns" else row["sign"]
        ours = np.exp(partial_evidence(pd.DataFrame([row])).log_probability(theta)[0])
        scipys = region_probability(row, theta)
        sure = np.isfinite(scipys) & (np.abs(scipys) > 1e-8)  # scipy's tails are differences of numbers near 1, or nan
        assert sure.any()
        np.testing.assert_allclose(ours[sure], scipys[sure], rtol=1e-7, err_msg=str(row))


def test_a_wrong_number_is_seen():
    case = SHIPPED["a-7"]
    for key, value in theirs(case).items():
        assert list(differences(answer(case), {key: value + 2 * TOLERANCE})) == [key]


def test_a_number_we_do_not_answer_fails():
    assert list(differences(answer(SHIPPED["a-7"]), {"mu.kurtosis": 3.0})) == ["mu.kurtosis"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda case: case["priors"]["tau"].update(dist="horseshoe"), "the prior horseshoe"),
        (lambda case: case["rows"][0].update(weight=2), "the field weight of a row"),
    ],
)
def test_what_we_lack_is_listed(change, why):
    case = {**SHIPPED["a-7"], "priors": {k: dict(v) for k, v in SHIPPED["a-7"]["priors"].items()}}
    case["rows"] = [dict(row) for row in case["rows"]]
    change(case)
    assert judge(case)[:2] == ("not supported", why)
