"""The YAML of the configuration: plain values, and the line that each was written in."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pytest_cobbler.config.faults import Line, place, printable, problem

LARGEST = 256 * 1024
"""Bytes of a configuration; PyYAML takes a second for each 100 KB or so."""

Spot = tuple[int | str, ...]
"""A key, then indices and keys below it."""

_INT = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"-?(0|[1-9][0-9]{0,17})\.[0-9]{1,9}")
_STANDARD = "tag:yaml.org,2002:"
_TEXT_TAGS = {_STANDARD + name for name in ("str", "int", "float", "timestamp", "merge", "value")}


@dataclass(kw_only=True)
class Source:
    """A configuration file as it was written; ``lines`` has the line of every key and list element."""

    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[Spot, int] = field(default_factory=dict)
    errors: list[Line] = field(default_factory=list)

    def line(self, spot: Spot) -> int | None:
        """The line of ``spot``, or of the nearest node around it."""
        while spot and spot not in self.lines:
            spot = spot[:-1]
        return self.lines.get(spot)


def read(path: Path, content: bytes | None = None) -> Source:
    """Read and parse ``path``; with ``content``, only parse that.

    Raises:
        ConfigurationProblem: it cannot be read, or is not one YAML mapping.
    """
    text = _text(path, _read(path) if content is None else content)
    try:
        root = _compose(text)
    except yaml.reader.ReaderError as error:
        code = error.character if isinstance(error.character, int) else ord(error.character)
        line = text.count("\n", 0, error.position) + 1
        raise problem(path, [Line(number=line, text=f"the character {_code(code)} is not allowed")]) from None
    except yaml.MarkedYAMLError as error:
        raise problem(path, [_syntax_error(error)]) from None
    except RecursionError:
        raise problem(path, [Line(number=None, text="nested too deeply")]) from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise problem(path, [Line(number=None, text=f"not valid YAML: {printable(str(error))}")]) from None
    if root is None or (isinstance(root, yaml.ScalarNode) and root.tag == _STANDARD + "null"):
        return Source()
    if not isinstance(root, yaml.MappingNode):
        text = f'{_kind(root)} where "key: value" lines belong'
        raise problem(path, [Line(number=_line(root), text=text)])
    return _Reading().source(root)


def _read(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise problem(path, [Line(number=None, text="is a directory, not a file")])
        if not stat.S_ISREG(mode):
            raise problem(path, [Line(number=None, text="is not a regular file")])
        with path.open("rb") as file:
            return file.read(LARGEST + 1)
    except FileNotFoundError:
        error = problem(path, [Line(number=None, text="there is no such file")])
        error.remedy = (
            f"Run pytest where {path.name} is, or create it: the line `podman_image: IMAGE` is enough."
        )
        raise error from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise problem(path, [Line(number=None, text=f"cannot be read: {reason}")]) from None


def _text(path: Path, data: bytes) -> str:
    if len(data) > LARGEST:
        raise problem(path, [Line(number=None, text=f"is larger than {LARGEST // 1024} KiB")])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise problem(path, [Line(number=line, text="is not UTF-8 text")]) from None


class _Loader(yaml.SafeLoader):
    """Composes nodes. An alias is rejected, because aliases can multiply their content without end."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(
                None, None, "an alias (*name): write the value out", event.start_mark
            )
        return super().compose_node(parent, index)


def _compose(text: str) -> yaml.Node | None:
    loader = _Loader(text)
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


_SAID = (
    (r"found character '\\t'", "a tab: YAML indents with spaces"),
    (r"another document", 'a second document ("---"): only one is allowed'),
    (
        r"mapping values are not allowed",
        "a second colon, or a wrong indentation: put a text with a colon in quotes",
    ),
    (r"an alias \(", None),
)


def _syntax_error(error: yaml.MarkedYAMLError) -> Line:
    said = " ".join(part for part in (error.context, error.problem) if part)
    for pattern, words in _SAID:
        if re.search(pattern, said):
            said = words or (error.problem or said)
            break
    else:
        said = f"not valid YAML: {said}"
    mark = error.problem_mark or error.context_mark
    return Line(number=mark.line + 1 if mark else None, text=said)


class _Reading:
    """Turns nodes into values. A node without a valid value becomes an error and is omitted."""

    def __init__(self) -> None:
        self._source = Source()

    def source(self, root: yaml.MappingNode) -> Source:
        if root.tag != _STANDARD + "map":
            self._fault(root, f"the tag {printable(root.tag)} is not allowed")
        for key, value in self._pairs(root, ()):
            if self._fits((key,), value):
                self._source.values[key] = self._value((key,), value)
        return self._source

    def _pairs(self, node: yaml.MappingNode, spot: Spot) -> Iterator[tuple[str, yaml.Node]]:
        seen: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._fault(key, f"{_kind(key)} where a key belongs")
                continue
            name = key.value
            if not _sound(name):
                self._fault(key, f"{printable(name)}: a key with a character that is not text")
            elif name in seen:
                first = self._source.line((*spot, name))
                self._fault(key, f"{printable(name)}: written twice, first in line {first}")
            else:
                seen.add(name)
                self._source.lines[(*spot, name)] = _line(key)
                yield name, value

    def _fits(self, spot: Spot, node: yaml.Node) -> bool:
        """Whether ``node`` and everything below it is plain data; records an error for other nodes."""
        if isinstance(node, yaml.ScalarNode):
            return self._scalar_fits(spot, node)
        if node.tag not in (_STANDARD + "map", _STANDARD + "seq"):
            self._fault(node, f"{place(spot)}: the tag {printable(node.tag)} is not allowed")
            return False
        if isinstance(node, yaml.SequenceNode):
            parts = [self._fits((*spot, index), element) for index, element in enumerate(node.value)]
            return all(parts)
        assert isinstance(node, yaml.MappingNode)
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        parts = [self._fits((*spot, name), value) for name, value in self._pairs(node, spot)]
        return all(parts) and len(set(names)) == len(node.value)

    def _scalar_fits(self, spot: Spot, node: yaml.ScalarNode) -> bool:
        known = node.tag in _TEXT_TAGS or node.tag in (_STANDARD + "null", _STANDARD + "bool")
        if not known:
            self._fault(node, f"{place(spot)}: the tag {printable(node.tag)} is not allowed")
        elif not _sound(node.value):
            self._fault(node, f"{place(spot)}: a character that is not text")
            known = False
        return known

    def _value(self, spot: Spot, node: yaml.Node) -> Any:
        self._source.lines.setdefault(spot, _line(node))
        if isinstance(node, yaml.SequenceNode):
            return [self._value((*spot, index), element) for index, element in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            return {key.value: self._value((*spot, key.value), value) for key, value in node.value}
        return _scalar(node)

    def _fault(self, node: yaml.Node, text: str) -> None:
        self._source.errors.append(Line(number=_line(node), text=text))


def _scalar(node: yaml.Node) -> object:
    """The value; a number only if it reads back as it was written, so that ``1.10`` or ``007`` stay text."""
    text = str(node.value)
    if node.tag == _STANDARD + "null":
        return None
    if node.tag == _STANDARD + "bool":
        return yaml.SafeLoader.bool_values.get(text.lower(), text)
    if node.tag == _STANDARD + "int" and _INT.fullmatch(text):
        return int(text)
    if node.tag == _STANDARD + "float" and _FLOAT.fullmatch(text) and str(float(text)) == text:
        return float(text)
    return text


def _sound(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _kind(node: yaml.Node) -> str:
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    return "a mapping" if isinstance(node, yaml.MappingNode) else "a text"


def _code(code: int) -> str:
    return f"U+{code:04X}"
