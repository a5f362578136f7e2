"""The base of every config model, and the reader of TOML files.

A config model is frozen, refuses unknown keys, and stands beside the code that it configures. A value that is not
set is ``None``, never ``-1``. ``jobs/config.py`` puts the models together into the one file that describes a run.
"""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.errors import ConfigError


class Config(BaseModel):
    """Base of config models: immutable, and an unknown key is an error.

    Messages of a model's own validators state what was found, what was expected, and the mend; ``load_toml`` adds
    file and table.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


ConfigT = TypeVar("ConfigT", bound=Config)


def load_toml(path: str | Path, model: type[ConfigT]) -> ConfigT:
    """Read ``path`` into ``model``.

    Raises:
        ConfigError: one line per fault, each naming file, table and key, what was found, what was expected, and
            the mend.
    """
    path = Path(path)
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"no config file at {path}; expected a TOML file such as examples/crawl.toml") from None
    except (IsADirectoryError, PermissionError) as error:
        raise ConfigError(f"cannot read config file {path}: {error.strerror}; expected a readable TOML file") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 at byte {error.start}; save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}; mend that line") from None
    return parse(document, model, where=str(path))


def parse(document: dict[str, Any], model: type[ConfigT], *, where: str) -> ConfigT:
    """Validate ``document`` against ``model``; ``where`` names its origin in messages.

    Raises:
        ConfigError: as ``load_toml``.
    """
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise ConfigError("\n".join(_describe(fault, model, where) for fault in error.errors())) from None


def _describe(fault: Any, model: type[BaseModel], where: str) -> str:
    location = list(fault["loc"])
    table = ".".join(str(part) for part in location[:-1])
    key = str(location[-1]) if location else ""
    place = f"({where} [{table}])" if table else f"({where})"
    if fault["type"] == "extra_forbidden":
        known = _known_keys(model, location[:-1])
        close = difflib.get_close_matches(key, known, n=1)
        mend = f"did you mean {close[0]!r}?" if close else "remove it"
        return f"unknown key {key!r} {place}; expected one of {', '.join(known)}; {mend}"
    if fault["type"] == "missing":
        return f"key {key!r} is missing {place}; add it"
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "value_error":
        return f"{message} {place}" if not key else f"{message} ({where} [{'.'.join(map(str, location))}])"
    return f"{key} = {fault['input']!r} {place}: {message[0].lower()}{message[1:]}; change the value"


def _known_keys(model: type[BaseModel], location: list[Any]) -> list[str]:
    """Field names of the (sub)model that ``location`` leads to."""
    current: Any = model
    for part in location:
        fields = getattr(current, "model_fields", {})
        if isinstance(part, int) or part not in fields:
            continue
        current = _model_in(fields[part].annotation) or current
    return list(getattr(current, "model_fields", {}))


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _model_in(argument)
        if found is not None:
            return found
    return None
