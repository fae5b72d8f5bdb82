"""Tables and single facts on live pages."""

from nicegui.element import Element

from videofleet_gateway.web.elements import Node, Rows


class Badge(Node):
    """A status in a word; its colour says nothing more."""

    def __init__(self) -> None:
        super().__init__("span", classes="badge")

    def show(self, status: str) -> None:
        """This one."""
        self.say(status)
        self.put("data-status", status.lower())


class Facts:
    """What is known, by name: a list of terms."""

    def __init__(self, *names: str) -> None:
        with Node("dl"):
            self._texts = {name: _fact(name) for name in names}

    def fill(self, *texts: str) -> None:
        """In the order of the names."""
        for node, text in zip(self._texts.values(), texts, strict=True):
            node.say(text)


class Table(Node):
    """Lines of text; the places stay, what is in them changes."""

    def __init__(self, name: str, *headings: str) -> None:
        super().__init__("div", **wide(name))
        with self, Node("table"):
            head(headings)
            self._rows: Rows[int, _Line] = Rows(Node("tbody"), lambda _place: _Line(len(headings)))

    def fill(self, lines: list[tuple[str, ...]]) -> None:
        """These lines."""
        self._rows.show(range(len(lines)))
        for place, line in enumerate(lines):
            self._rows.parts[place].fill(line)


class _Line(Node):
    def __init__(self, width: int) -> None:
        super().__init__("tr")
        with self:
            self._cells = [Node("td") for _ in range(width)]

    def fill(self, texts: tuple[str, ...]) -> None:
        for cell, text in zip(self._cells, texts, strict=True):
            cell.say(text)


def wide(name: str) -> dict[str, str]:
    """Of what may be wider than the screen: it can be moved sideways, also by keyboard."""
    return {"classes": "wide", "tabindex": "0", "role": "region", "aria_label": name}


def head(headings: tuple[str, ...]) -> Element:
    """The first line of a table."""
    part = Node("thead")
    with part, Node("tr"):
        for heading in headings:
            Node("th", heading, scope="col")
    return part


def _fact(name: str) -> Node:
    Node("dt", name)
    return Node("dd")
