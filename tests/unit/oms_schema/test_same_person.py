"""Four eyes: a name that looks like another one is that one."""

from __future__ import annotations

import pytest

from oms_schema.person import same_person


@pytest.mark.parametrize(
    "other",
    [
        "Ada",
        "ada",
        "ADA",
        " Ada ",
        "Ada\u200b",
        "\u2060A\u00adda",
        "\uff21da",
        "Ada\u00a0",
        "\ufeffAda",
        "A\x00da",
        "Ad\u200ea",
        "Ada\\u200b",
        "Ad\u034fa",
        "Ada\ufe0f",
    ],
)
def test_a_name_that_looks_the_same_is_the_same_person(other: str) -> None:
    assert same_person("Ada", other)


def test_composed_and_decomposed_letters_and_inner_blanks_are_the_same() -> None:
    assert same_person("Zo\u00eb  Fo\u00df", "zoe\u0308 FOSS")


@pytest.mark.parametrize("other", ["Grace", "Ada L", "A da", "", "Ad\u00e1"])
def test_another_name_is_another_person(other: str) -> None:
    assert not same_person("Ada", other)
