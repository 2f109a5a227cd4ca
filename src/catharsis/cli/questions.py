"""Ask for one study at the terminal, field by field; an answer that cannot stand is asked again.

What is asked follows the table: the cells that its other studies fill, at the level where they fill them.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from catharsis.errors import InputError, InputErrors, did_you_mean
from catharsis.plan.spec import Plan
from catharsis.studies.edit import Digits
from catharsis.studies.yaml_source import YamlSource

LEVELS = ("study", "sample", "effect")
BLOCKS = ("samples", "effects", "numbers", "counts", "reported", "source", "waive", "moderators")
NAMES = ("id", "cite", "label", "report", "report_doi", "exclude", "kind", "note", "overlap_group")
SHARE = 1 / 3  # of the effects of a table that have a cell, from which on a new study is asked for it

# How papers print a result, with the cells of each way; the first cell tells the ways apart.
WAYS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "one group": ("numbers", ("mean_change", "sd_change", "se_change", "n")),
    "two groups": ("numbers", ("m1", "sd1", "se1", "n1", "m2", "sd2", "se2", "n2")),
    "correlation": ("numbers", ("r", "n")),
    "t test": ("numbers", ("t", "df", "p", "n", "n1", "n2")),
    "F test": ("numbers", ("F", "df1", "df2", "p", "n", "n1", "n2")),
    "exact p": ("numbers", ("p", "n", "n1", "n2")),
    "d": ("numbers", ("d", "d_se", "n", "n1", "n2")),
    "effect": ("numbers", ("yi", "vi", "sei", "n")),
    "events": ("counts", ("events1", "n1", "events2", "n2")),
    "people by direction": ("counts", ("better", "same", "worse")),
    "direction only": ("reported", ("sign", "verdict", "n", "n1", "n2")),
    "nothing usable": ("", ()),
}
EITHER = {"se_change": "sd_change", "se1": "sd1", "se2": "sd2", "sei": "vi"}  # asked for only without the other


Say = Callable[[str], None]


@dataclass(slots=True)
class Terminal:
    """Where questions are asked: standard input and output."""

    say: Say = field(default=lambda text: print(text, file=sys.stderr))

    def ask(self, question: str, default: str | None = None) -> str:
        """One line of answer, without blanks around it; the default for an empty one."""
        import typer

        answer = typer.prompt(question, default=default or "", show_default=bool(default), err=True)
        return str(answer).strip()

    def field(
        self,
        question: str,
        check: Callable[[str], Any],
        *,
        default: str | None = None,
        choices: Sequence[str] = (),
        needed: bool = False,
    ) -> Any:
        """Ask until the answer can stand; None for an empty one. "?" lists the choices."""
        while True:
            answer = self.ask(question, default)
            if answer == "?":
                self.say("  " + (", ".join(choices) if choices else "type it as it is printed, or nothing"))
                continue
            if not answer:
                if not needed:
                    return None
                self.say("  this one is needed")
                continue
            try:
                return check(answer)
            except InputErrors as found:
                for problem in found.problems:
                    self.complain(problem)

    def complain(self, problem: InputError) -> None:
        """Say why an answer cannot stand."""
        self.say(f"  {problem.what}: {problem.why}")
        self.say(f"  {problem.fix}")

    def choose(self, question: str, choices: Sequence[str], default: str | None = None) -> str:
        """One of a few words, or its number."""
        for i, choice in enumerate(choices, start=1):
            self.say(f"  {i:2d} {choice}")

        def check(answer: str) -> str:
            if answer.isdigit() and 1 <= int(answer) <= len(choices):
                return choices[int(answer) - 1]
            if answer in choices:
                return answer
            raise refused(f'there is no "{answer}" here', "one of the lines above is asked for",
                          did_you_mean(answer, list(choices)))  # fmt: skip

        return str(self.field(question, check, default=default, choices=choices, needed=True))

    def yes(self, question: str, default: bool) -> bool:
        """Yes or no."""
        import typer

        return bool(typer.confirm(question, default=default, err=True))


def refused(what: str, why: str, fix: str) -> InputErrors:
    """One answer that cannot stand."""
    from catharsis.errors import At

    return InputErrors([InputError(At("your answer"), what, why, fix, "answer")])


@dataclass(frozen=True, slots=True)
class Habits:
    """What the studies of a table fill: cell to level, with the values seen; and how their results are printed."""

    levels: Mapping[str, str]
    values: Mapping[str, tuple[str, ...]]
    way: str
    reports: bool


def habits(source: YamlSource, plan: Plan) -> Habits:
    """Learn from a table what to ask for."""
    places: dict[str, Counter[str]] = {}
    values: dict[str, Counter[str]] = {}
    ways: Counter[str] = Counter()
    effects = 0

    def look(entry: Any, level: int, below: int) -> None:
        for key, value in entry.items():
            if key not in BLOCKS and key not in NAMES and not isinstance(value, dict | list):
                places.setdefault(key, Counter())[LEVELS[level]] += below
                values.setdefault(key, Counter())[str(getattr(value, "text", value))] += 1

    data = source.data if isinstance(source.data, dict) else {}
    for study in data.get("studies") or ():
        samples = study.get("samples") or ()
        inside = [effect for sample in samples for effect in sample.get("effects") or ()]
        effects += len(inside)
        look(study, 0, len(inside))
        for sample in samples:
            look(sample, 1, len(sample.get("effects") or ()))
            for effect in sample.get("effects") or ():
                look(effect, 2, 1)
                ways[_way(effect)] += 1
    often = {key: seen for key, seen in places.items() if sum(seen.values()) >= SHARE * max(effects, 1)}
    levels = {key: seen.most_common(1)[0][0] for key, seen in often.items()}
    levels.setdefault("outcome", "study")
    if not effects:
        levels |= dict.fromkeys(plan.dictionary.moderators, "study")
    seen_values = {key: tuple(word for word, _ in counted.most_common(12)) for key, counted in values.items()}
    studies = data.get("studies") or ()
    reports = sum("report" in study for study in studies) >= SHARE * max(len(studies), 1)
    return Habits(levels, seen_values, ways.most_common(1)[0][0] if ways else "two groups", reports)


def _way(effect: Mapping[str, Any]) -> str:
    """How an effect of the table is printed."""
    for name, (block, cells) in WAYS.items():
        if block and isinstance(effect.get(block), dict) and cells[0] in effect[block]:
            return name
    return "nothing usable"


@dataclass(slots=True)
class Asking:
    """The questions about one study."""

    plan: Plan
    source: YamlSource
    terminal: Terminal
    verify: Callable[[dict[str, Any]], Sequence[InputError]] = lambda study: ()

    def study(self, cite: str | None) -> dict[str, Any]:
        """Ask for a study; the answers as studies.yaml holds them."""
        known = habits(self.source, self.plan)
        self.terminal.say("Type what the paper prints. Enter leaves a cell out, ? lists what is known, Ctrl-C stops.")
        key = cite or self.terminal.field(
            "cite (key in the bibliography)", self._cite, choices=list(self.plan.library), needed=True
        )
        reference = self.plan.library[key]
        self.terminal.say(f"  {reference.narrative}. {reference.title}".rstrip(" ."))
        names = [reference.creators[0].surname] if reference.creators else []
        label = " ".join([*names, str(reference.year)]) if names and reference.year else None
        study: dict[str, Any] = {"cite": key, "label": self._cell("label", "study", default=label, needed=True)}
        year = str(reference.year) if reference.year is not None else None
        study["year"] = self._cell("year", "study", default=year)
        if known.reports:
            study["report"] = self._cell("report", "study", "report (a name for the study, when it was read elsewhere)")
        study |= self._level("study", known, skip=tuple(study))
        source = {
            "where": self.terminal.field("source: where in the paper (page, table)", str),
            "kind": self.terminal.field("source: kind", str, choices=self._kinds()),
            "read_by": self.terminal.field("source: read by", str),
        }
        study["source"] = {name: value for name, value in source.items() if value is not None}
        study["samples"] = []
        while True:
            study["samples"].append(self._sample(study, known))
            if not self.terminal.yes("Another group of people in this study?", False):
                break
        return {name: value for name, value in study.items() if value not in (None, {})}

    def _sample(self, study: dict[str, Any], known: Habits) -> dict[str, Any]:
        taken = [sample["id"] for sample in study["samples"]]
        default = study["cite"] if not taken else f"{study['cite']}-{len(taken) + 1}"
        sample: dict[str, Any] = {
            "id": self._cell("id", "sample", "name of the group of people", default=default, needed=True)
        }
        sample |= self._level("sample", known, skip=tuple(study))
        sample["effects"] = []
        while True:
            effect = self._effect(study, sample, known)
            whole = {**study, "samples": [{**sample, "effects": [effect]}]}
            found = self.verify({name: value for name, value in whole.items() if value not in (None, {})})
            for problem in found:
                self.terminal.complain(problem)
            if found and self.terminal.yes("Ask again for this result?", True):
                continue
            sample["effects"].append(effect)
            if not self.terminal.yes("Another result of these people?", False):
                return sample

    def _effect(self, study: dict[str, Any], sample: dict[str, Any], known: Habits) -> dict[str, Any]:
        taken = len(sample["effects"])
        default = sample["id"] if not taken else f"{sample['id']}-{taken + 1}"
        effect: dict[str, Any] = {"id": self._cell("id", "effect", "name of the result", default=default, needed=True)}
        effect |= self._level("effect", known, skip=(*study, *sample))
        above = {**study, **sample, **effect}
        if "outcome" not in above:
            effect["outcome"] = above["outcome"] = self._cell("outcome", "effect", needed=True)
        way = self.terminal.choose("What does the paper print?", list(WAYS), known.way)
        block, cells = WAYS[way]
        answers: dict[str, Any] = {}
        for name in cells:
            if EITHER.get(name) in answers or (name in ("n", "n1", "n2") and name in above):
                continue
            if name == "n" and ("n1" in answers or "n1" in above):
                continue
            if name in ("n1", "n2") and block != "counts" and way != "two groups" and "n" in answers:
                continue
            value = self._number(block, name, str(above["outcome"]))
            if value is not None:
                answers[name] = value
        if block and answers:
            effect[block] = answers
        note = self.terminal.field("note", str)
        return {**effect, **({"note": note} if note else {})}

    def _level(self, level: str, known: Habits, skip: Sequence[str]) -> dict[str, Any]:
        """The cells that this table fills at a level."""
        found = {}
        for key, where in known.levels.items():
            if where == level and key not in skip:
                value = self._cell(key, level, choices=known.values.get(key, ()))
                if value is not None:
                    found[key] = value
        return found

    def _cell(
        self,
        key: str,
        level: str,
        question: str | None = None,
        *,
        default: str | None = None,
        choices: Sequence[str] = (),
        needed: bool = False,
    ) -> Any:
        """One cell of a study, sample or effect."""
        from catharsis.studies.schema import Effect, Sample, Study

        moderator = self.plan.dictionary.moderators.get(key)
        if moderator is not None:
            return self.terminal.field(
                question or f"{key} ({moderator.unit or moderator.label})",
                lambda answer: self._moderator(key, answer),
                choices=list(moderator.levels or choices),
                needed=needed,
            )
        if key == "outcome":
            choices = list(self.plan.dictionary.outcomes)
            return self.terminal.field("outcome", lambda a: known_word("outcome", a, choices), choices=choices)
        model: Any = {"study": Study, "sample": Sample, "effect": Effect}[level]
        if key == "id" and level == "effect":
            return self.terminal.field(question or key, self._new_id, default=default, choices=choices, needed=needed)
        return self.terminal.field(
            question or key, lambda answer: checked(model, key, answer), default=default, choices=choices, needed=needed
        )

    def _number(self, block: str, name: str, outcome: str) -> Any:
        from catharsis.studies.schema import Counts, Numbers, Reported

        model: Any = {"numbers": Numbers, "counts": Counts, "reported": Reported}[block]
        if name == "sign":
            words = self.plan.dictionary.words_of(outcome)
            choices = [words.positive, words.negative, words.none]
            return self.terminal.field(f"sign ({', '.join(choices)})", lambda a: known_word("direction", a, choices))
        hint = {"verdict": "verdict (p < .05, n.s.)"}.get(name, name)
        return self.terminal.field(hint, lambda answer: checked(model, name, answer))

    def _cite(self, key: str) -> str:
        if key not in self.plan.library:
            like = [known for known in self.plan.library if key.casefold() in known.casefold()][:12]
            fix = "did you mean " + ", ".join(like) + "?" if like else self.plan.library.suggest(key)
            raise refused(f'no reference has the key "{key}"', "every study must name the paper it came from", fix)
        return key

    def _new_id(self, answer: str) -> str:
        data = self.source.data if isinstance(self.source.data, dict) else {}
        for study in data.get("studies") or ():
            for sample in study.get("samples") or ():
                if any(str(effect.get("id")) == answer for effect in sample.get("effects") or ()):
                    raise refused(f'the effect id "{answer}" is taken', "results refer to effects by their id",
                                  "give this effect an id of its own")  # fmt: skip
        return answer

    def _moderator(self, key: str, answer: str) -> Any:
        moderator = self.plan.dictionary.moderators[key]
        if moderator.kind == "factor":
            return known_word(f"level of {key}", answer, list(moderator.levels or {}))
        return as_number(answer) if moderator.kind == "number" else answer

    def _kinds(self) -> list[str]:
        data = self.source.data if isinstance(self.source.data, dict) else {}
        kinds = Counter(str(study["source"]["kind"]) for study in data.get("studies") or ()
                        if isinstance(study.get("source"), dict) and study["source"].get("kind"))  # fmt: skip
        return [kind for kind, _ in kinds.most_common(12)]


def known_word(what: str, answer: str, choices: Sequence[str]) -> str:
    """One of the declared words."""
    if answer not in choices:
        raise refused(f'"{answer}" is not a {what}', "only declared words are counted together",
                      did_you_mean(answer, list(choices)))  # fmt: skip
    return answer


def as_number(answer: str) -> Digits:
    """A number with its digits."""
    from catharsis.studies.spreadsheets import number_problem

    try:
        return Digits(answer)
    except ValueError:
        why, fix = number_problem(answer) or ("it cannot be read as one", "write the digits only")
        raise refused(f'"{answer}" is not a number', why, fix) from None


def checked(model: Any, name: str, answer: str) -> Any:
    """An answer as the cell of a model takes it.

    Raises
    ------
    InputErrors
        When it cannot stand.
    """
    from typing import Annotated

    from pydantic import TypeAdapter, ValidationError

    info = model.model_fields[name]
    text = _takes_text(info.annotation)
    value: Any = answer if text else as_number(answer)
    number: Any = value if text else (int(value) if _whole(value) else float(value))
    try:
        whole: Any = Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation
        TypeAdapter(whole).validate_python(number)
        for hook in model.__pydantic_decorators__.field_validators.values():
            if name in hook.info.fields:
                hook.func(number)
    except ValidationError as found:
        said = found.errors()[0]
        fix = str(said.get("ctx", {}).get("fix") or "correct it, or leave it out")
        raise refused(f'{name}: "{answer}"', said["msg"][:1].lower() + said["msg"][1:], fix) from None
    except ValueError as found:
        context = getattr(found, "context", None) or {}
        raise refused(
            f'{name}: "{answer}"', str(found), str(context.get("fix") or "correct it, or leave it out")
        ) from None
    _plausible(name, value)
    return value


def _takes_text(annotation: Any) -> bool:
    from typing import get_args

    parts = get_args(annotation)
    return annotation is str or any(_takes_text(part) or isinstance(part, str) for part in parts)


def _whole(text: str) -> bool:
    return text.lstrip("+-").isdigit()


def _plausible(name: str, value: Any) -> None:
    """What no number of this name can be, whatever the others are."""
    if not isinstance(value, Digits):
        return
    number = float(value)
    low, high = {
        "p": (0.0, 1.0), "r": (-1.0, 1.0), "alpha": (0.0, 1.0),
        **dict.fromkeys(("sd1", "sd2", "sd_change", "se1", "se2", "se_change", "d_se", "sei", "vi", "F", "df", "df1",
                         "df2"), (0.0, float("inf"))),
    }.get(name, (float("-inf"), float("inf")))  # fmt: skip
    spread = name.startswith(("sd", "se", "d_se", "vi"))
    if not low <= number <= high or (spread and number == 0):
        bounds = f"lies between {low:g} and {high:g}" if high < float("inf") else "is above 0"
        raise refused(f"{name} is {value}", f"{name} {bounds}", "copy it again from the paper")
