"""Pydantic's findings as catharsis errors: file, line, what, why, fix."""

from __future__ import annotations

from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from catharsis.errors import InputError, InputErrors, did_you_mean
from catharsis.studies.yaml_source import YamlSource

M = TypeVar("M", bound=BaseModel)


def validate(
    model: type[M], source: YamlSource, data: Any | None = None, extra_keys: tuple[str, ...] = ()
) -> M:
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
        raise InputErrors([_problem(model, source, error, extra_keys) for error in found.errors()]) from None


def _problem(
    model: type[BaseModel], source: YamlSource, error: Any, extra_keys: tuple[str, ...]
) -> InputError:
    path = tuple(
        part for part in error["loc"] if not (isinstance(part, str) and part.startswith("function-"))
    )
    at, kind, name = source.at(path), error["type"], str(path[-1]) if path else "the file"
    where = _where(source.data, path)
    if kind == "extra_forbidden":
        known = [*_fields(model, path[:-1]), *extra_keys]
        return InputError(
            at,
            f'"{name}" is not a key of {where}',
            "a misspelt key would be lost without a word",
            did_you_mean(name, known),
            "unknown-key",
        )
    if kind == "missing":
        return InputError(
            at,
            f'{where} has no "{name}"',
            "every entry of this kind needs one",
            f'add a line "{name}: ..."',
            "missing-key",
        )
    context = error.get("ctx", {})
    if "fix" in context:
        return InputError(
            at,
            f"{name}: {error['msg']}",
            f"it stands under {where}",
            str(context["fix"]),
            str(kind).replace("_", "-"),
        )
    return InputError(
        at,
        f"{name}: found {_short(error.get('input'))}",
        f"{_lower(error['msg'])} ({where})",
        "correct the value, or delete the line if the paper does not report it",
        "wrong-value",
    )


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _short(value: Any) -> str:
    text = (
        f'"{value}"'
        if isinstance(value, str)
        else "a block"
        if isinstance(value, dict | list)
        else str(value)
    )
    return text if len(text) <= 60 else text[:57] + "..."


def _fields(model: type[BaseModel], path: tuple[str | int, ...]) -> list[str]:
    """The keys that a model allows at a path."""
    here: Any = model
    for part in path:
        if isinstance(part, int):
            continue
        if isinstance(here, type) and issubclass(here, BaseModel):
            field = here.model_fields.get(part) or next(
                (f for f in here.model_fields.values() if f.alias == part), None
            )
            here = _model_in(field.annotation) if field else None
    if not (isinstance(here, type) and issubclass(here, BaseModel)):
        return []
    return [field.alias or key for key, field in here.model_fields.items()]


def _model_in(annotation: Any) -> Any:
    """The model inside an optional, tuple, list or dict annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for arg in get_args(annotation) if (found := _model_in(arg)) is not None), None)


def _where(data: Any, path: tuple[str | int, ...]) -> str:
    """The entry around a path in the user's words: effect lee2019-1, study Lee 2019, the file."""
    name = "the file"
    for part in path[:-1]:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            break
        if isinstance(data, dict):
            label = data.get("id") or data.get("label") or data.get("cite")
            if isinstance(part, str):
                name = f'"{part}"' if name == "the file" else f'"{part}" of {name}'
            elif isinstance(label, str):
                name = label
    return name
