"""XML files read with every element's line number, so that a refusal names the place. No DTDs, no entities."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from wm_sim.errors import SimError

SIZE_MAX = 256 * 2**20
DEPTH_MAX = 100


@dataclass(eq=False)
class Node:
    """An element: tag, attributes, children, text, and where it stands."""

    tag: str
    attributes: dict[str, str]
    line: int
    file: str
    children: list[Node] = field(default_factory=list)
    text: str = ""

    def error(self, reason: str) -> SimError:
        """What is wrong with this element, as an exception."""
        name = self.attributes.get("id")
        where = f"<{self.tag} id={name!r}>" if name is not None else f"<{self.tag}>"
        return SimError(f"{self.file}: line {self.line}, {where}: {reason}")

    def all(self, *tags: str) -> Iterator[Node]:
        """Children with one of these tags."""
        return (child for child in self.children if child.tag in tags)

    def maybe(self, tag: str) -> Node | None:
        """The first child with this tag, if any."""
        return next(self.all(tag), None)

    def one(self, tag: str) -> Node:
        """The first child with this tag."""
        found = self.maybe(tag)
        if found is None:
            raise self.error(f"it needs a <{tag}>.")
        return found

    def attribute(self, name: str) -> str:
        """An attribute that has to be there."""
        if name not in self.attributes:
            raise self.error(f"it needs the attribute {name!r}.")
        return self.attributes[name]

    def number(self, name: str, default: float | None = None) -> float:
        """An attribute as a finite number."""
        if default is not None and name not in self.attributes:
            return default
        return self._number(self.attribute(name), f"{name}=")

    def whole(self, name: str) -> int:
        """An attribute as a whole number."""
        try:
            return int(self.attribute(name))
        except ValueError:
            raise self.error(f"{name}={self.attribute(name)[:40]!r} is not a whole number.") from None

    def value(self) -> float:
        """The text as a finite number."""
        return self._number(self.text, "")

    def _number(self, text: str, name: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise self.error(f"{name}{text.strip()[:40]!r} is not a number.") from None
        if not math.isfinite(value) or abs(value) > 1e12:
            raise self.error(f"{name}{text.strip()[:40]!r} is not a number to work with.")
        return value


def read_xml(path: Path, root: str) -> Node:
    """The root element of a file, which must be called `root`."""
    try:
        data = path.read_bytes() if path.stat().st_size <= SIZE_MAX else None
    except OSError as error:
        raise SimError(f"{path}: cannot be read: {error.strerror}.") from None
    if data is None:
        raise SimError(f"{path}: larger than {SIZE_MAX >> 20} MiB; cut the map down.")
    top = Node("", {}, 0, str(path))
    open_nodes = [top]
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def start(tag: str, attributes: dict[str, str]) -> None:
        node = Node(tag.rsplit(":", 1)[-1], attributes, parser.CurrentLineNumber, str(path))
        if len(open_nodes) > DEPTH_MAX:
            raise node.error(f"it is nested more than {DEPTH_MAX} deep.")
        open_nodes[-1].children.append(node)
        open_nodes.append(node)

    def end(_: str) -> None:
        open_nodes.pop()

    def text(data: str) -> None:
        open_nodes[-1].text += data

    def doctype(*_: object) -> None:
        raise SimError(f"{path}: line {parser.CurrentLineNumber}: it declares a DTD or entities; remove them.")

    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, text
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise SimError(f"{path}: not whole XML: {error}.") from None
    found = top.children[0]
    if found.tag != root:
        raise found.error(f"expected <{root}> as the root element.")
    return found
