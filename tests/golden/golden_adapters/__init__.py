"""Which golden families catharsis answers, and how.

`FAMILIES` maps a family to its adapter: a function from a case to our values under the golden field names. A family
in `WAITING` has no adapter yet. Within a family an adapter may say of a case, a field or a list element that it
waits for a part of the project; nothing is left out silently (test_golden.py asserts that the table is complete).

A new family: write `answer_<family>(case)` in a module here and add one line to `FAMILIES`.
"""

from __future__ import annotations

from golden_adapters.case import PARTS_WITHIN, Case, Family, NotSupported, read_cases
from golden_adapters.comparison import OUTCOMES, Verdict, judge
from golden_adapters.multilevel import MULTILEVEL
from golden_adapters.robust import ROBUST
from golden_adapters.univariate import BLUP, HETEROGENEITY_INTERVAL, UNIVARIATE

FAMILIES: dict[str, Family] = {
    "rma.uni": UNIVARIATE,
    "rma.uni.mods": UNIVARIATE,
    "rma.uni.edge": UNIVARIATE,
    "confint.tau2": HETEROGENEITY_INTERVAL,
    "blup": BLUP,
    "rma.mv.sigma": MULTILEVEL,
    "robust.uni": ROBUST,
    "robust.mv": ROBUST,
}

WAITING: dict[str, str] = {
    family: part
    for part, families in {
        "effects: measures": "escalc conv transf rcalc aggregate",
        "models: counts": "rma.mh rma.peto rma.glmm",
        "models: structures and scale models": "rma.mv.struct confint.mv ranef.mv location_scale profile.tau2 robumeta",
        "models: comparison of fits": "anova.wald anova.lrt vif",
        "assess: influence": "diagnostics diagnostics.mv influence leave1out cumul baujat permutest",
        "assess: asymmetry": "regtest ranktest trimfill fsn tes hc pet_peese limitmeta metabias",
        "assess: selection": "selmodel weightr puniform puni_star",
        "models: meta's intervals": "metagen",
        "bayes": "bayesmeta bmr",
    }.items()
    for family in families.split()
}

# every part that something waits for; an unsupported case or field must name one of them
PARTS: frozenset[str] = frozenset(WAITING.values()) | frozenset(PARTS_WITHIN)

__all__ = [
    "FAMILIES",
    "OUTCOMES",
    "PARTS",
    "WAITING",
    "Case",
    "Family",
    "NotSupported",
    "Verdict",
    "judge",
    "read_cases",
]
