"""Rules that hold the numbers of a row against each other: discordant is what cannot all be right.

The digits that a paper prints stand for a range of values. A rule speaks only when no values in these ranges fit, by
any of the ways that papers compute such a number, so that nobody is accused of rounding.
"""

from __future__ import annotations

from catharsis.checks import counted, directions, printed_effects, printed_tests
from catharsis.checks.rules import Rule

RULES: tuple[Rule, ...] = (
    Rule(
        "t-against-means", "discordant", "A t or F(1, df) that the means, SDs and group sizes beside it do not give.",
        "Equal variances and Welch's test are both tried. What is left are slips: a standard error entered as an SD, a "
        "mistyped mean or n, a t of another comparison.",
        "Compare every number with the paper. A t of a model with covariates does not belong to the raw means.",
        ("gotzsche2007", "maassen2020"), printed_tests.t_against_means,
    ),
    Rule(
        "p-against-test", "discordant",
        "A p that its t, F or r does not give with the degrees of freedom, or, without a test, the means and SDs.",
        "One-sided and two-sided p are both tried. Where p and its test lie on two sides of alpha the finding says so.",
        "Check p, the statistic and the df.", ("nuijten2016",), printed_tests.p_against_test,
    ),
    Rule(
        "df-against-n", "discordant", "Degrees of freedom that n, or n1 and n2, do not give.",
        "Degrees of freedom count people: fewer say that somebody is missing from the test, more that n is wrong.",
        "Enter the n of the test. Covariates or drop-outs are a reason for a waiver.",
        ("nuijten2016",), printed_tests.df_against_n,
    ),
    Rule(
        "r-against-test", "discordant", "A correlation and a t or F beside it that do not belong together.",
        "t is r times the root of df / (1 - r^2).", "Check r, n and the statistic.", ("nuijten2016",),
        printed_tests.r_against_test,
    ),
    Rule(
        "t-against-F", "discordant", "An F(1, df) that is not the square of the t beside it.",
        "With one numerator degree of freedom the two are one test.", "Check both.", ("nuijten2016",),
        printed_tests.t_against_f,
    ),
    Rule(
        "se-against-sd", "discordant", "A standard error that is not the SD beside it over the root of n.",
        "All three stand in the row, so one of them is wrong.", "Check SD, SE and n.", ("gotzsche2007",),
        printed_tests.se_against_sd,
    ),
    Rule(
        "d-against-numbers", "discordant", "A d that the means and SDs, t, F or counts beside it do not give.",
        "The pooled SD, either group's, and their average are tried, with and without the small-sample correction.",
        "Check d and what it comes from.", ("maassen2020", "hedges1985"), printed_effects.d_against_numbers,
    ),
    Rule(
        "d-error", "discordant",
        "A standard error or interval of d that the number of people, or the other of the two, does not give.",
        "The error of d follows from d and n; an interval of 95% is 1.96 errors to each side of d.",
        "Check d_se, d_ci and n.", ("hedges1985",), printed_effects.d_error,
    ),
    Rule(
        "yi-against-numbers", "discordant",
        "A yi that fits none of the effect sizes that the row's own numbers lead to.",
        "Differences, standardised differences, ratios, shares and correlations are all tried, so that a yi that fits "
        "none was mistyped, or its numbers were.", "Check both, or leave yi out and let catharsis compute it.",
        ("maassen2020",), printed_effects.yi_against_numbers,
    ),
    Rule(
        "vi-against-numbers", "discordant", "A vi or sei that the row's own numbers do not lead to.",
        "A standard error in the place of a variance, an SE in the place of an SD and a wrong n show here.",
        "Check vi, the SDs and the group sizes.", ("maassen2020", "gotzsche2007"),
    ),
    Rule(
        "vi-against-peers", "discordant",
        "A variance that, times the number of people, lies far from those of the same outcome.",
        "The variance of one measure falls with n alike in all studies; who departs from it by a factor has a standard "
        "error for a variance, a slipped point, or a wrong n.", "Check vi and n.", ("kadlec2023",),
        printed_effects.variance_against_peers,
    ),
    Rule(
        "sign-contradiction", "discordant", "Numbers of one row that go in two directions.",
        "A row's means, t, d, r and yi all say first group less second; a flipped sign turns a finding over.",
        "Turn the sign, or swap the groups.", ("maassen2020",), directions.sign_contradiction,
    ),
    Rule(
        "sign-against-numbers", "discordant", "A stated direction that the row's numbers contradict.",
        "A word under sign: goes the family's way, numbers go the way of the scale.",
        "Check the word, the numbers and higher_is:.", (), directions.sign_against_numbers,
    ),
    Rule(
        "verdict-against-p", "discordant", "A verdict (significant or not) that the p or the test beside it denies.",
        "A verdict is a statement about p.", "Check the verdict and its level.", ("nuijten2016",),
        directions.verdict_against_p,
    ),
    Rule(
        "baseline-imbalance", "discordant",
        "Two groups that differ before the event by a quarter of an SD and more than chance gives in 1 of 100.",
        "Rows count as baseline when minutes is below 0, or partition, design or a moderator says baseline, pretest, "
        "pre or before. A difference that was there before is no effect, and a large one may be a data error.",
        "Check the numbers, use change scores, or waive with what the authors did about it.", (),
        directions.baseline_imbalance,
    ),
    Rule(
        "n-against-groups", "discordant", "An effect's n that is more than its two groups together.",
        "An effect counts the people of its groups.", "Correct n, n1 or n2.", (), counted.n_against_groups,
    ),
    Rule(
        "n-against-counts", "discordant", "An effect's n that is more than better, same and worse together.",
        "Each person answers once.", "Correct n or the counts.", (),
    ),
    Rule(
        "share-against-counts", "discordant", "A share that is not its count over n.", "Both stand in the row.",
        "Check the share, the count and n.", (), counted.shares_against_counts,
    ),
    Rule(
        "shares-against-1", "discordant", "Shares of better, same and worse that do not add to 1.",
        "Everybody is one of the three.", "Correct the shares.", (),
    ),
    Rule(
        "change-against-counts", "discordant",
        "A mean change or its SD that the people better, same and worse cannot have on a scale of whole numbers.",
        "Who is better changed by at least 1 and at most to the end of the scale. Applies to outcomes with items: 1 "
        "and range: in analysis.yaml.", "Check the mean, its sign and the counts.", (), counted.change_against_counts,
    ),
    Rule(
        "p-against-counts", "discordant", "The p of a two-by-two table that no usual test of it gives.",
        "Chi-square (plain, Yates, N - 1), the likelihood ratio, Wald's tests of log odds ratio, log risk ratio and "
        "risk difference, and Fisher's exact test (also doubled, and mid-p) are tried, one- and two-sided.",
        "Check p and the counts.", ("nuijten2016",), counted.p_against_counts,
    ),
)  # fmt: skip
