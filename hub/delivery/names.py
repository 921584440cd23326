"""A report's ids as numbers: millions of rows name a few thousand lines and ad units, and numbers sort quicker and weigh less.

While a report comes in, every new text gets the next number. When it is whole, numbers become places in the order of the
texts (by their bytes, as the store's collation "C"), so that sorting places sorts texts.
"""

from __future__ import annotations

import threading
from typing import cast

import polars as pl

from hub.delivery.content import lanes_of


class Names:
    """The texts of one column. Any thread may ask for numbers until `seal`, which one thread calls; then any may read.

    polars numbers the texts by a table of its own, which lasts for as long as a series of its kind does.
    """

    def __init__(self) -> None:
        self._kind = pl.Categorical(pl.Categories.random("orderhub"))
        self._lasting = pl.Series(dtype=self._kind)
        self._known = pl.Series("text", dtype=pl.String)
        self._places = pl.Series(dtype=pl.UInt32)
        self._lanes = lanes_of(self._known)
        self._adding = threading.Lock()

    def numbers(self, texts: pl.Series) -> pl.Series:
        """The number of each text, in the same order; texts that were not seen before get new ones. No text is null.

        One thread at a time: two at once would take numbers whose texts are told later.
        """
        with self._adding:
            found = texts.cast(self._kind).to_physical()
            if found.len() and cast("int", found.max()) >= self._known.len():
                self._add(texts, found)
        return found

    def _add(self, texts: pl.Series, numbers: pl.Series) -> None:
        """What is there is replaced and never changed, since others look at it meanwhile; lanes first, as they follow numbers."""
        told = pl.DataFrame({"text": texts, "number": numbers})
        news = told.filter(pl.col("number") >= self._known.len()).unique("number").sort("number")["text"]
        first, second = (
            pl.concat([lane, more], rechunk=True) for lane, more in zip(self._lanes, lanes_of(news), strict=True)
        )
        self._lanes = first, second
        self._known = pl.concat([self._known, news], rechunk=True)

    def seal(self) -> None:
        """Put the texts in order; no more come."""
        order = self._known.arg_sort()
        self._known = self._known.gather(order)
        count = order.len()
        self._places = pl.repeat(0, count, dtype=pl.UInt32, eager=True)
        self._places.scatter(order, pl.int_range(count, dtype=pl.UInt32, eager=True))
        first, second = (lane.gather(order) for lane in self._lanes)
        self._lanes = first, second
        self._lasting = pl.Series(dtype=pl.UInt32)

    @property
    def lanes(self) -> tuple[pl.Series, pl.Series]:
        """What stands for each text in `hub.delivery.content`: by number, after `seal` by place."""
        return self._lanes

    @property
    def texts(self) -> pl.Series:
        """Every text once, in order: the text of each place."""
        return self._known

    def places(self, numbers: pl.Series) -> pl.Series:
        """The place of each number's text in `texts`."""
        return self._places.gather(numbers)
