"""A report's ids as numbers: millions of rows name a few thousand lines and ad units, and numbers sort quicker and weigh less.

While a report comes in, every new text gets the next number. When it is whole, numbers become places in the order of the
texts (by their bytes, as the store's collation "C"), so that sorting places sorts texts.
"""

from __future__ import annotations

import threading

import polars as pl

from hub.delivery.content import lanes_of


class Names:
    """The texts of one column. Any thread may ask for numbers until `seal`, which one thread calls; then any may read."""

    def __init__(self) -> None:
        self._known = pl.DataFrame(schema={"text": pl.String, "number": pl.UInt32})
        self._places = pl.Series(dtype=pl.UInt32)
        self._lanes = lanes_of(self._known["text"])
        self._adding = threading.Lock()

    def numbers(self, texts: pl.Series) -> pl.Series:
        """The number of each text, in the same order; texts that were not seen before get new ones. No text is null."""
        told = texts.rename("text").to_frame()
        found = _looked_up(told, self._known)
        if found.null_count():
            with self._adding:
                self._add(told)
            found = _looked_up(told, self._known)
        return found

    def _add(self, told: pl.DataFrame) -> None:
        """What is there is replaced and never changed, since others look at it meanwhile; lanes first, as they follow numbers."""
        news = told.join(self._known, on="text", how="anti")["text"].unique(maintain_order=True)
        count = self._known.height
        numbers = pl.int_range(count, count + news.len(), dtype=pl.UInt32, eager=True)
        first, second = (
            pl.concat([lane, more], rechunk=True) for lane, more in zip(self._lanes, lanes_of(news), strict=True)
        )
        self._lanes = first, second
        self._known = pl.concat([self._known, pl.DataFrame({"text": news, "number": numbers})], rechunk=True)

    def seal(self) -> None:
        """Put the texts in order; no more come."""
        self._known = self._known.sort("text")
        places = self._known.select("number", pl.int_range(pl.len(), dtype=pl.UInt32).alias("place"))
        self._places = places.sort("number")["place"].rechunk()
        first, second = (lane.gather(self._known["number"]) for lane in self._lanes)
        self._lanes = first, second

    @property
    def lanes(self) -> tuple[pl.Series, pl.Series]:
        """What stands for each text in `hub.delivery.content`: by number, after `seal` by place."""
        return self._lanes

    @property
    def texts(self) -> pl.Series:
        """Every text once, in order: the text of each place."""
        return self._known["text"]

    def places(self, numbers: pl.Series) -> pl.Series:
        """The place of each number's text in `texts`."""
        return self._places.gather(numbers)


def _looked_up(told: pl.DataFrame, known: pl.DataFrame) -> pl.Series:
    return told.join(known, on="text", how="left", maintain_order="left")["number"]
