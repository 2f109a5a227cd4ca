"""Cells that are possible but look like a slip: warnings, which a person may let stand."""

from __future__ import annotations

from catharsis.checks.arms import equal_spreads
from catharsis.checks.repeated import odd_correlations
from catharsis.checks.rules import Rule
from catharsis.checks.slips import odd_spreads

RULES: tuple[Rule, ...] = (
    Rule(
        "se-for-sd", "unusual",
        "an SD that fits its peers better as a standard error",
        "a standard error is smaller by the root of n, so that the effect grows and its weight with it; a row whose t "
        "or F bears its SDs out is not told",
        "write se, se1, se2 or se_change if the paper prints a standard error",
        ("gotzsche2007",), odd_spreads,
    ),
    Rule(
        "sd-for-se", "unusual",
        "a standard error that fits its peers better as an SD",
        "an SD read as a standard error grows by the root of n, so that the effect all but vanishes",
        "write sd, sd1, sd2 or sd_change if the paper prints an SD",
        ("gotzsche2007",),
    ),
    Rule(
        "decimal-shift", "unusual",
        "a mean, spread or size of an arm about 10 or 100 times too large or small for its peers",
        "a decimal point that slipped changes the effect tenfold",
        "correct the decimal point",
    ),
    Rule(
        "large-effect", "unusual",
        "a standardised difference beyond 3 standard deviations",
        "interventions rarely do so much; slips in means and SDs easily do",
        "compare means and SDs with the paper",
        ("gotzsche2007",),
    ),
    Rule(
        "sd-ratio", "unusual",
        "SDs of two arms of which one is at least 4 times the other, beyond chance",
        "a slip in one of them is likelier than such a difference",
        "compare both with the paper",
    ),
    Rule(
        "equal-sds", "unusual",
        "SDs of two arms that print alike, more often in the table than chance lets them",
        "an SD may have been copied into both arms, or be that of all people",
        "enter the SD of each arm",
        (), equal_spreads,
    ),
    Rule(
        "implausible-r", "unusual",
        "SDs before, after and of the change that imply a correlation below 0 or above 0.99",
        "the SD of a change follows from the other two and their correlation; a standard error among them breaks it",
        "compare the three SDs with the paper",
        (), odd_correlations,
    ),
)  # fmt: skip
