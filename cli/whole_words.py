"""A table that never breaks a word: ids are copied from it, and half an id is another id.

Every column gets at least its longest word. Where these do not fit beside each other, each row stands as a paragraph.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

BETWEEN = " · "
"""Stands between the cells of a row that is a paragraph."""
INDENT = 2
"""Columns by which the later lines of a paragraph stand in."""


class WholeWords(Table):
    """A rich table of texts, given its columns; as wide as the console at the most, if only a single word fits there."""

    def __init__(
        self, *headers: str, blanks: int = 0, right: Sequence[str] = (), named: Sequence[str] = (), title: str = ""
    ) -> None:
        """Columns lie `blanks` apart, or with a line between them; `right` are columns of numbers, `named` those whose words
        tell nothing without the column's name."""
        padding = (0, blanks, 0, 0) if blanks else (0, 1)
        super().__init__(show_edge=False, pad_edge=False, header_style="bold", padding=padding)
        if blanks:
            self.box = None
        if title:
            self.title, self.title_justify = title, "left"
        self._between = blanks or 3
        self._named = frozenset(named)
        for header in headers:
            self.add_column(header, justify="right" if header in right else "left", overflow="fold")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        widths = self._fitting(console, options)
        if widths is None:
            yield from self._paragraphs(console, options)
            return
        for column, width in zip(self.columns, widths, strict=True):
            column.width = width
        yield from super().__rich_console__(console, options)

    def _fitting(self, console: Console, options: ConsoleOptions) -> list[int] | None:
        """The width of each column, or None when their longest words do not fit beside each other."""
        texts = [[_text(column.header), *map(_text, column.cells)] for column in self.columns]
        sizes = [[Measurement.get(console, options, text) for text in column] for column in texts]
        widths = [max(1, *(size.minimum for size in column)) for column in sizes]
        wanted = [max(size.maximum for size in column) for column in sizes]
        left = options.max_width - sum(widths) - self._between * (len(widths) - 1)
        if left < 0:
            return None
        # Who needs little gets it whole. Folded at its words, a column may need less than its share: the rest goes on.
        order = sorted(range(len(widths)), key=lambda place: wanted[place] - widths[place])
        for done, place in enumerate(order):
            share = widths[place] + left // (len(order) - done)
            fits = (
                wanted[place] if wanted[place] <= share else max(_folded(console, text, share) for text in texts[place])
            )
            left -= fits - widths[place]
            widths[place] = fits
        return widths

    def _paragraphs(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Each row as a paragraph. A figure or a date, which tells nothing alone, has its column's name before it."""
        if self.title:
            yield Text(str(self.title), "italic")
        headers = [_words(column.header) for column in self.columns]
        for row in zip(*(column.cells for column in self.columns), strict=True):
            lines: list[Text] = []
            for place, cell in enumerate(row):
                text = _text(cell)
                if not text.plain.strip():
                    continue
                bare = self.columns[place].header in self._named or not any(map(str.isalpha, text.plain))
                if place and headers[place] and bare:
                    text = Text(f"{headers[place]} ").append_text(Text(" ").join(text.split()))
                room = options.max_width - (INDENT if lines[1:] else 0)
                if lines and "\n" not in text.plain and lines[-1].cell_len + len(BETWEEN) + text.cell_len <= room:
                    lines[-1] = lines[-1].append(BETWEEN).append_text(text)
                else:
                    lines.append(text)
            for number, line in enumerate(lines):
                line.overflow = "fold"
                yield Padding(line, (0, 0, 0, INDENT if number else 0), expand=False)


def _text(cell: RenderableType) -> Text:
    """A copy of what a cell holds. Only texts go into these tables."""
    if isinstance(cell, Text):
        return cell.copy()
    assert isinstance(cell, str), f"{type(cell).__name__} is no text"
    return Text(cell)


def _words(cell: RenderableType) -> str:
    return " ".join(_text(cell).plain.split())


def _folded(console: Console, text: Text, width: int) -> int:
    """How wide a text is that is folded to this width."""
    return max((cell_len(line.plain.rstrip()) for line in text.wrap(console, width, overflow="fold")), default=0)
