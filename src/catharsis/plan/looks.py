"""How often the evidence was looked at, and intervals that hold over all looks together.

A living review tests again with every update, and the chance that some look excludes a true "no effect" grows with
each: 95 % intervals of twenty looks do so in 20 % and more of reviews (`docs/living.md` has the simulation). The
correction offered here spends the error over the looks: look j gets alpha / (j (j + 1)), and its interval is the usual
one at that level. The shares add up to alpha however many looks there will be, so their number need not be planned,
and as the bound is Bonferroni's it asks nothing of how looks depend on each other: rows may be corrected or withdrawn,
the spread estimated anew, the review stopped when it likes. It is the spending of Lan and DeMets (1983, Biometrika
70, 659-663) over looks instead of information, whose planned maximum a living review does not have.

What else there is was weighed and left: trial sequential analysis [@wetterslev2008] needs a required information size;
the law of the iterated logarithm (Lan, Hu and Cappelleri 2003, Statistica Sinica 13, 1135-1145) a factor found by
simulation; anytime-valid normal mixtures (as in ter Schure and Grünwald 2022, F1000Research 11, 549) are narrower from
about the fifth look on, but 2.5 times as wide as a plain interval at the first one with five studies, and their proof
wants looks that are sums of independent increments, which rows that are corrected and a spread estimated anew are not.

The correction keeps what a single look keeps and no more: it cannot mend an interval that is too narrow at one look
(a normal test with few studies), and it is a frequentist statement; a posterior under its prior needs none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catharsis.assess.gates import Verdict, verdict
from catharsis.errors import At, InputError, InputErrors
from catharsis.files import locked, write_atomically
from catharsis.plan.revisions import at_revision, finite_number, git, inside_repository, parse_record
from catharsis.studies.yaml_source import read_text

SCHEMA = "catharsis/looks@1"
FILE = "looks.json"  # beside analysis.yaml, kept in git: a run rewrites the report's folder, and this must outlive it
SEEN = 6  # significant digits in which two answers must differ to be two looks; rounding of other code is no look


@dataclass(frozen=True, slots=True)
class Answer:
    """What one synthesis said at one look: estimate, standard error, degrees of freedom (inf: normal), k samples."""

    estimate: float
    se: float
    df: float
    k: int

    @property
    def seen(self) -> tuple[str, str]:
        """What a reader could tell from another answer."""
        return f"{self.estimate:.{SEEN}g}", f"{self.se:.{SEEN}g}"


@dataclass(frozen=True, slots=True)
class Look:
    """One look at the evidence.

    Attributes
    ----------
    date : str
        The day, as YYYY-MM-DD.
    inputs : str
        sha256 of the inputs.
    answers : dict
        Id of each pooled average to its answer.
    """

    date: str
    inputs: str
    answers: Mapping[str, Answer]


@dataclass(frozen=True, slots=True)
class Corrected:
    """An average with its plain interval and the one that holds over all looks together.

    Attributes
    ----------
    looks : int
        Looks at this synthesis so far, this one included.
    level : float
        Confidence level that the whole sequence keeps.
    alpha : float
        Error that this look may spend.
    answer : Answer
        What is corrected.
    plain, interval : (float, float)
        Without and with the correction, analysis scale.
    plain_verdict, verdict : str or None
        What each says of "no effect"; None where the measure has none.
    """

    looks: int
    level: float
    alpha: float
    answer: Answer
    plain: tuple[float, float]
    interval: tuple[float, float]
    plain_verdict: Verdict | None
    verdict: Verdict | None

    @property
    def cost(self) -> float:
        """Width of the corrected interval in widths of the plain one."""
        return (self.interval[1] - self.interval[0]) / (self.plain[1] - self.plain[0])


def spent(alpha: float, look: int) -> float:
    """The error that look number `look` may spend: alpha / (look (look + 1)); all looks together spend alpha.

    Examples
    --------
    >>> [round(spent(0.05, j), 5) for j in (1, 2, 5, 20)], round(sum(spent(0.05, j) for j in range(1, 10_000)), 5)
    ([0.025, 0.00833, 0.00167, 0.00012], 0.05)
    """
    return alpha / (look * (look + 1))


def corrected(answer: Answer, looks: int, level: float = 0.95, no_effect: float = 0.0) -> Corrected:
    """The interval of the present look that keeps `level` over all looks, however many will follow.

    Parameters
    ----------
    answer : Answer
        The average at this look.
    looks : int
        Looks so far, this one included; at least 1.
    level : float
        Level of the whole sequence.
    no_effect : float
        Value of "no effect" on the analysis scale; nan when there is none.

    Returns
    -------
    Corrected

    Examples
    --------
    >>> found = corrected(Answer(0.5, 0.15, 9.0, 10), looks=3)
    >>> [round(x, 3) for x in (*found.plain, *found.interval, found.cost)]
    [0.161, 0.839, -0.071, 1.071, 1.683]
    >>> found.plain_verdict, found.verdict
    ('positive', 'unclear')
    """
    alpha = spent(1 - level, max(looks, 1))
    plain, wide = _interval(answer, 1 - level), _interval(answer, alpha)
    verdicts = [None if math.isnan(no_effect) else verdict(*limits, no_effect) for limits in (plain, wide)]
    return Corrected(max(looks, 1), level, alpha, answer, plain, wide, verdicts[0], verdicts[1])


def _interval(answer: Answer, alpha: float) -> tuple[float, float]:
    """The two-sided interval that leaves alpha outside; its quantile from the tail, which may be small."""
    from scipy import special

    tail = special.ndtri(alpha / 2) if math.isinf(answer.df) else special.stdtrit(answer.df, alpha / 2)
    reach = -float(tail) * answer.se
    return answer.estimate - reach, answer.estimate + reach


def look_at(record: Mapping[str, Any], date: str) -> Look:
    """The look that a record is: every frequentist average in it.

    Parameters
    ----------
    record : mapping
        results.json as data.
    date : str
        The day, as YYYY-MM-DD.

    Returns
    -------
    Look
        Syntheses with moderators or without a fit are not in it: there is no one average to correct.
    """
    answers = {}
    for key, item in record.get("syntheses", {}).items():
        fit = item.get("frequentist") or {}
        terms = fit.get("coefficients", {})
        own = terms.get("intercept") if len(terms) == 1 else None
        if own and own.get("estimate") is not None and own.get("se"):
            df = fit.get("df")
            answers[key] = Answer(own["estimate"], own["se"], math.inf if df is None else df, item.get("k", 0))
    return Look(date, str(record.get("inputs", {}).get("sha256", "")), answers)


def count(looks: Sequence[Look], synthesis: str) -> int:
    """How many answers of a synthesis were seen one after the other; the same answer again is no new look."""
    seen = [look.answers[synthesis].seen for look in looks if synthesis in look.answers]
    return sum(1 for i, answer in enumerate(seen) if i == 0 or answer != seen[i - 1])


def with_look(looks: Sequence[Look], look: Look) -> tuple[Look, ...]:
    """The looks with one more, unless every answer in it is the last one seen."""
    new = any(count((*looks, look), key) > count(looks, key) for key in look.answers)
    return (*looks, look) if new else tuple(looks)


# -- the file -------------------------------------------------------------------------------------------


def read_looks(path: Path) -> tuple[Look, ...] | None:
    """The looks that a file holds, oldest first; None when there is no file yet.

    Raises
    ------
    InputErrors
        When the file is not a record of looks.
    """
    import json

    if not path.exists():
        return None
    try:
        data = json.loads(read_text(path), parse_float=finite_number, parse_constant=finite_number)
        if data["schema"] != SCHEMA:
            raise ValueError(f"its schema is {data['schema']}")
        return tuple(_look(entry) for entry in data["looks"])
    except (ValueError, OverflowError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        what = f"the record of looks cannot be read ({type(problem).__name__}: {problem})"
        why = "without it nobody knows how often the evidence was tested"
        fix = "restore it from git: git checkout -- " + path.as_posix()
        raise InputErrors([InputError(At(path.as_posix()), what, why, fix, "looks-file")]) from None


def _look(entry: Mapping[str, Any]) -> Look:
    answers = {}
    for key, one in entry["answers"].items():
        df = math.inf if one["df"] is None else float(one["df"])
        answers[str(key)] = Answer(float(one["estimate"]), float(one["se"]), df, int(one["k"]))
    return Look(str(entry["date"]), str(entry["inputs"]), answers)


def add_look(path: Path, look: Look, earlier: Sequence[Look] = ()) -> tuple[Look, ...]:
    """Keep a look in the file, under a lock; an answer that was seen last is not counted again.

    Parameters
    ----------
    path : Path
        The file; made when it is missing.
    look : Look
        The new look.
    earlier : sequence of Look
        Looks from before there was a file.

    Returns
    -------
    tuple of Look
        All looks, this one included.
    """
    with locked(path):
        held = read_looks(path)
        before = tuple(earlier) if held is None else held
        found = with_look(before, look)
        if held is None or found != held:
            write_atomically(path, _text(found))
    return found


def _text(looks: Sequence[Look]) -> str:
    import json

    entries = [
        {
            "date": look.date,
            "inputs": look.inputs,
            "answers": {
                key: {"k": one.k, "estimate": one.estimate, "se": one.se, "df": None if math.isinf(one.df) else one.df}
                for key, one in look.answers.items()
            },
        }
        for look in looks
    ]
    return json.dumps({"schema": SCHEMA, "looks": entries}, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def looks_from_history(results: Path) -> tuple[tuple[Look, ...], int]:
    """The looks that git remembers: every committed version of results.json whose answers were others.

    Parameters
    ----------
    results : Path
        results.json in the working tree; it need not exist there.

    Returns
    -------
    (tuple of Look, int)
        The looks, oldest first, and how many committed versions could not be read.
    """
    near = results.resolve().parent
    while not near.is_dir():
        near = near.parent
    path = inside_repository(results)
    listed = git(near, "log", "--reverse", "--format=%H %cs", "--", f":(top){path}") if path else None
    looks: tuple[Look, ...] = ()
    unread = 0
    for line in (listed or b"").decode().splitlines():
        commit, date = line.split()
        text = at_revision(near, commit, path or "")
        if text is None:  # the commit that deleted it
            continue
        try:
            look = look_at(parse_record(text, f"{commit[:12]}:{path}"), date)
        except (InputErrors, KeyError, TypeError, AttributeError):
            unread += 1
            continue
        looks = with_look(looks, look)
    return looks, unread
