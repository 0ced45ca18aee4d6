"""Pieces of Markdown, and what docstrings say of parameters."""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Iterable, Sequence
from typing import Any

import docstring_parser

MADE = "Written by `python -m docs.reference` from the code; a test holds it against the code.\n"
_WORDS = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    type(None): "null",
    Any: "anything",
}
_ROLE = re.compile(r":\w+:`~?([^`<]+?)(?:\s*<[^`]*>)?`")  # a cross-reference of Sphinx, in docstrings of Lightning
_NONE = re.compile(r"\bNone\b")  # as YAML has it
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z`])")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table."""
    lines = [head, ["---"] * len(head), *([_cell(cell) for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(text: str) -> str:
    """Return a text as a table's cell: one line, without signs that end a cell."""
    return " ".join(text.split()).replace("|", "\\|")


def code(text: object) -> str:
    """Return a text as code; nothing for an empty one."""
    return f"`{text}`" if str(text) else ""


def value(given: Any) -> str:
    """Return a value as it would stand in a YAML file."""
    if given is None or isinstance(given, bool):
        return code({None: "null", True: "true", False: "false"}[given])
    if isinstance(given, tuple):
        given = list(given)
    return code('""') if given == "" else code(str(given).replace("'", ""))


def kind(hint: Any) -> str:
    """Return the type of a value in words."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint in _WORDS:
        return _WORDS[hint]
    if origin in (types.UnionType, typing.Union):
        return either(kind(member) for member in inner)
    if origin is typing.Literal:
        return ", ".join(code(member) for member in inner)
    if origin in (list, tuple):
        return f"list of {kind(inner[0])}".replace("number", "numbers").replace("mapping", "mappings")
    return "mapping" if origin is dict or dataclasses.is_dataclass(hint) else hint.__name__


def either(kinds: Iterable[str]) -> str:
    """Return one kind or another in words, null last.

    In the order of the alphabet: of two unions of the same types typing keeps the order of whichever it met first.
    """
    return " or ".join(sorted(set(kinds), key=lambda word: (word == "null", word)))


def meanings(documented: Any) -> dict[str, str]:
    """Return what the docstring of a class or function says of each of its parameters or attributes."""
    parsed = docstring_parser.parse(documented.__doc__ or "")
    return {found.arg_name: plain(found.description or "") for found in parsed.params}


def plain(text: str) -> str:
    """Return the text of a docstring as Markdown, in one line."""
    named = _ROLE.sub(r"`\1`", text).replace("``", "`").replace('`"', "`").replace('"`', "`")
    return " ".join(_NONE.sub("null", named).split())


def first_sentence(text: str) -> str:
    """Return the first sentence of a text."""
    return _SENTENCE.split(plain(text))[0]
