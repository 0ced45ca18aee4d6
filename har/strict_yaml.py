"""YAML files that people write: duplicate keys are refused, numbers like 1e-3 are numbers, errors name the line."""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from har.errors import UsageError
from har.files import held

_MOST_VALUES = 10**6  # of a document with its aliases written out; a card of a hundred channels has two thousand


class _StrictLoader(yaml.SafeLoader):
    """PyYAML's safe loader, which would silently keep the last of two equal keys."""

    def get_single_node(self) -> yaml.Node | None:
        """Refuse a few lines whose aliases stand for more than any memory holds."""
        node: yaml.Node | None = super().get_single_node()
        if node is not None and _size(node, {}) > _MOST_VALUES:
            problem = f"aliases stand for more than {_MOST_VALUES} values"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Name the place of what looks like a date or a number and is none, such as 2024-02-30, or is far too large."""
        try:
            value = super().construct_object(node, deep)
        except (ValueError, KeyError, AttributeError):  # what PyYAML's constructors meet such values with
            kind = {"int": "number", "float": "number", "timestamp": "date"}.get(node.tag.rpartition(":")[2], node.tag)
            problem = f"{node.value!r} is no {kind}"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from None
        try:
            return held(value, node.value) if isinstance(value, int) else value
        except ValueError as error:
            raise yaml.constructor.ConstructorError(None, None, str(error), node.start_mark) from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Refuse a key that the mapping has already."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                problem = "a mapping or a list stands where a key belongs"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            if key in seen:
                problem = f"the key {key!r} stands twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """Return how many values a node stands for, aliases counted each time; one that names itself counts no further."""
    if id(node) not in known:
        known[id(node)] = 1
        if isinstance(node, yaml.MappingNode):
            known[id(node)] += sum(_size(part, known) for pair in node.value for part in pair)
        elif isinstance(node, yaml.SequenceNode):
            known[id(node)] += sum(_size(part, known) for part in node.value)
    return known[id(node)]


# YAML 1.1, which PyYAML reads, takes 1e-3 for text; the training configuration's parser takes it for a number.
_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def read_yaml(path: Path) -> Any:
    """Read one YAML document.

    Args:
        path: The file.

    Returns:
        Its value: a mapping, as a rule.

    Raises:
        UsageError: The file is missing, is not UTF-8 text, is not YAML (with line and column) or has a key twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"there is no file {path}.", "Check the path; it is taken from the working folder.") from None
    except IsADirectoryError:
        raise UsageError(f"{path} is a folder, not a YAML file.", "Name the file itself.") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text (byte {error.start}).", "Save it as UTF-8.") from None
    return parse_yaml(text, str(path))


def parse_yaml(text: str, where: str) -> Any:
    """Parse YAML text; `where` names its place in errors.

    Raises:
        UsageError: The text is not YAML, is nested too deeply, or has a key twice.
    """
    try:
        return yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - derived from SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{where}, line {mark.line + 1}, column {mark.column + 1}" if mark else where
        raise UsageError(f"{place}: {error.problem}.", "Mend the YAML there.") from None
    except RecursionError:
        raise UsageError(f"{where} is nested too deeply to be read.", "Write it with fewer brackets.") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{where} is not YAML: {str(error).splitlines()[0]}.", "Mend the YAML.") from None


def key_lines(path: Path) -> dict[str, int]:
    """Return the 1-based line of every key and list item of a file that `read_yaml` can read.

    Keys are written as in ``files.tables[0].path``; those of the document itself stand alone.
    """
    lines: dict[str, int] = {}
    node = yaml.compose(path.read_text(encoding="utf-8"), Loader=_StrictLoader)
    if node is not None:
        _add_lines(node, "", lines, ())
    return lines


def _add_lines(node: yaml.Node, where: str, lines: dict[str, int], above: tuple[int, ...]) -> None:
    """Add the lines of what a node holds; `above` are the nodes around it, which an alias may name again."""
    if id(node) in above:
        return
    above = (*above, id(node))
    if isinstance(node, yaml.MappingNode):
        for key, item in node.value:
            name = f"{where}.{key.value}" if where else str(key.value)
            lines[name] = key.start_mark.line + 1
            _add_lines(item, name, lines, above)
    elif isinstance(node, yaml.SequenceNode):
        for i, item in enumerate(node.value):
            lines[f"{where}[{i}]"] = item.start_mark.line + 1
            _add_lines(item, f"{where}[{i}]", lines, above)
