"""Plain elements of HTML on live pages: what a browser and a screen reader know without any script."""

from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

from nicegui.element import Element
from nicegui.elements.mixins.text_element import TextElement

K = TypeVar("K", bound=Hashable)
Part = TypeVar("Part", bound=Element)


class Node(TextElement):
    """One element, made in the one that is open (`with`). Attributes with an underscore have a hyphen in HTML."""

    def __init__(self, tag: str, text: str = "", *, classes: str = "", **attributes: str) -> None:
        super().__init__(tag=tag, text=text)
        self.classes(classes)
        for name, value in attributes.items():
            self.props[name.rstrip("_").replace("_", "-")] = value

    def say(self, text: str) -> None:
        """Change its text; what is the same is not sent again."""
        if self.text != text:
            self.text = text

    def put(self, name: str, value: str | None) -> None:
        """Change an attribute, or take it away."""
        if self.props.get(name) == value:
            return
        if value is None:
            del self.props[name]
        else:
            self.props[name] = value
        self.update()


class Rows(Generic[K, Part]):
    """What is in a list or a table, by keys. One that stays is the same element, so that it keeps the focus.

    `make` builds the part of a key in the container.
    """

    def __init__(self, container: Element, make: Callable[[K], Part]) -> None:
        self._container = container
        self._make = make
        self.parts: dict[K, Part] = {}

    def show(self, keys: Iterable[K]) -> None:
        """These, in this order."""
        wanted = list(keys)
        for gone in set(self.parts) - set(wanted):
            self.parts.pop(gone).delete()
        for place, key in enumerate(wanted):
            if key not in self.parts:
                with self._container:
                    self.parts[key] = self._make(key)
            part, children = self.parts[key], self._container.default_slot.children
            if children[place] is not part:
                part.move(target_index=place)
