"""Pydantic's findings as catharsis errors: file, line, what, why, fix."""

from __future__ import annotations

from copy import deepcopy
from difflib import get_close_matches
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from catharsis.errors import MANY, At, InputError, InputErrors, did_you_mean, shown
from catharsis.studies.yaml_source import Path_, YamlSource

M = TypeVar("M", bound=BaseModel)

SINGULAR = {"studies": "study", "samples": "sample", "effects": "effect"}
BELONGS: dict[str, tuple[str, str]] = {
    "model_type": ("a block of keys belongs here", 'write "key: value" lines, indented by two spaces'),
    "dict_type": ("a block of keys belongs here", 'write "key: value" lines, indented by two spaces'),
    "tuple_type": ("a list belongs here", 'begin each entry with "- "'),
    "list_type": ("a list belongs here", 'begin each entry with "- "'),
    "string_type": ("a text belongs here", "write the text, between quotes if it begins with a special character"),
    "int_type": ("a whole number belongs here", "write the digits only"),
    "int_parsing": ("a whole number belongs here", "write the digits only"),
    "int_from_float": ("a whole number belongs here", "people and events are counted; a mean belongs under numbers:"),
    "float_type": ("a number belongs here", "write the digits only, with a decimal point"),
    "float_parsing": ("a number belongs here", "write the digits only, with a decimal point"),
    "bool_type": ("yes or no belongs here", "write yes or no"),
    "bool_parsing": ("yes or no belongs here", "write yes or no"),
}


def validate(model: type[M], source: YamlSource, data: Any | None = None, extra_keys: tuple[str, ...] = ()) -> M:
    """Read YAML data into a model.

    Parameters
    ----------
    model : type
        A pydantic model.
    source : YamlSource
        Where the lines come from.
    data : object, optional
        The data when it differs from `source.data`.
    extra_keys : tuple of str
        Names that are also allowed and are offered as corrections.

    Raises
    ------
    InputErrors
        All problems, each with its line.
    """
    try:
        return model.model_validate(source.data if data is None else data)
    except ValidationError as found:
        errors = found.errors(include_url=False)
        problems = [_problem(model, source, error, extra_keys) for error in errors[:MANY]]
        if len(errors) > MANY:
            problems.append(_and_more(source, len(errors) - MANY))
        raise InputErrors(problems) from None


def with_keys_corrected(model: type[BaseModel], data: Any, extra_keys: tuple[str, ...] = ()) -> Any:
    """The data with misspelt keys under the name they were meant to have, or left out, so that reading can go on.

    Only to find what else is wrong: the misspelt keys are errors all the same. None when other errors are left.
    """
    data = deepcopy(data)
    try:
        model.model_validate(data)
    except ValidationError as found:
        for error in found.errors(include_url=False):
            if error["type"] != "extra_forbidden":
                return None
            *path, key = error["loc"]
            entry: Any = data
            for part in path:
                entry = entry[part]
            value = entry.pop(key)
            close = get_close_matches(str(key), [*_fields(model, tuple(path)), *extra_keys], n=1)
            if close and close[0] not in entry and close[0] not in extra_keys:
                entry[close[0]] = value
    try:
        model.model_validate(data)
    except ValidationError:
        return None
    return data


def _and_more(source: YamlSource, rest: int) -> InputError:
    return InputError(
        At(source.file),
        f"{rest} more problems are not shown",
        "they often have one cause",
        "mend those below first",
        "more",
    )


def _problem(model: type[BaseModel], source: YamlSource, error: Any, extra_keys: tuple[str, ...]) -> InputError:
    context = error.get("ctx", {})
    path: Path_ = tuple(context.get("at", error["loc"]))
    while path and path not in source.lines and error["type"] != "missing":
        path = path[:-1]  # pydantic adds names of its own ("[key]", "function-before")
    at, kind = source.at(path), error["type"]
    name = shown(path[-1])[1:-1] if path and isinstance(path[-1], str) else "this entry" if path else "the file"
    where = _where(source.data, path)
    if kind == "extra_forbidden":
        known = _fields(model, path[:-1])
        if "moderators" in known:  # a level of the table, where the declared moderators may stand
            known = [*dict.fromkeys([key for key in known if key != "moderators"] + list(extra_keys))]
        cut = name.replace(".", "").isdigit()  # {sd: 1,27} is read as two entries
        fix = "write numbers with a decimal point: 1.27, not 1,27" if cut else did_you_mean(name, known)
        why = "a misspelt key would be lost without a word"
        return InputError(at, f'"{name}" is not a key of {where}', why, fix, "unknown-key")
    if kind == "missing":
        return InputError(
            at,
            f'{where} has no "{name}"',
            "every entry of this kind needs one",
            f'add a line "{name}: ..."',
            "missing-key",
        )
    if "fix" in context:
        return InputError(
            at, f"{name}: {error['msg']}", f"it stands under {where}" if path else "the analysis cannot be read so",
            str(context["fix"]), str(kind).replace("_", "-"),
        )  # fmt: skip
    what = f"{name}: found {shown(error.get('input'))}"
    # a plan may name any file, by mistake or by malice: what is no table is not shown
    if not path and isinstance(error.get("input"), str):
        what = f"{name} holds no keys and values"
    if kind in BELONGS:
        why, fix = BELONGS[kind]
        return InputError(at, what, f"{why} ({where})", fix, "wrong-value")
    if kind == "literal_error":
        known = [word.strip(" '\"") for word in str(context.get("expected", "")).replace(" or ", ",").split(",")]
        return InputError(
            at,
            what,
            f"only agreed words are allowed ({where})",
            did_you_mean(str(error.get("input")), known),
            "wrong-value",
        )
    return InputError(
        at,
        what,
        f"{error['msg'][:1].lower()}{error['msg'][1:]} ({where})",
        "correct the value, or delete the line if the paper does not report it",
        "wrong-value",
    )


def _fields(model: type[BaseModel], path: Path_) -> list[str]:
    """The keys that a model allows at a path."""
    here: Any = model
    named = False  # the next key is a name that the user chose, not a field
    for part in path:
        if named:
            named = False
        elif isinstance(here, type) and issubclass(here, BaseModel) and isinstance(part, str):
            fields = {field.alias or key: field for key, field in here.model_fields.items()}
            annotation = fields[part].annotation if part in fields else None
            here, named = _model_in(annotation), get_origin(annotation) is dict
    if not (isinstance(here, type) and issubclass(here, BaseModel)):
        return []
    return [field.alias or key for key, field in here.model_fields.items()]


def _model_in(annotation: Any) -> Any:
    """The model inside an optional, tuple, list or dict annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for arg in get_args(annotation) if (found := _model_in(arg)) is not None), None)


def _where(data: Any, path: Path_) -> str:
    """The entry around a path in the user's words: effect lee2019-1, "numbers" of effect lee2019-1, the file."""
    name, key = "the file", ""
    for part in path[:-1]:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            break
        if isinstance(part, int):
            name, key = _entry(data, key, part, name), ""
        elif isinstance(data, list):
            key = part
        else:
            name = _inside(f'"{part}"', name)
    return _inside(f'"{key}"', name) if key else name


def _inside(inner: str, outer: str) -> str:
    return inner if outer == "the file" else f"{inner} of {outer}"


def _entry(data: Any, key: str, position: int, outer: str) -> str:
    """An entry of a list by its label, or by its place when it has none."""
    noun = SINGULAR.get(key, "entry")
    label = (
        next((data[name] for name in ("id", "label", "cite") if data.get(name)), None)
        if isinstance(data, dict)
        else None
    )
    if label is None or isinstance(label, dict | list):
        place = f"{noun} {position + 1}" + (f' of "{key}"' if noun == "entry" and key else "")
        return _inside(place, outer)
    return f"{noun} {shown(getattr(label, 'text', str(label)))[1:-1]}"
