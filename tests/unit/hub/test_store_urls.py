"""A store's URL that cannot be used is a sentence, and nothing of its password is in it."""

from __future__ import annotations

import pytest

from hub.errors import StoreUnavailable
from hub.store.database import Database

SECRET = "Aspen7Lake"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://hub:x%ZZ{}@127.0.0.1:1/orders",
        "postgresql://hub:x {}@127.0.0.1:1/orders",
        "postgresql://hub:{}@[::1/orders",
        "postgresql://hub:x@{}@127.0.0.1:1/orders",
        "postgresql://hub:x/{}@127.0.0.1:1/orders",
        "postgresql://hub:12/{}@127.0.0.1:1/orders",
        "postgresql://hub:{}/y@127.0.0.1:1/orders",
        "postgresql://hub:12?/{}@127.0.0.1:1/orders",
        "postgresql://hub:x?{}/y@127.0.0.1:1/orders",
        "postgresql://hub:{}@127.0.0.1:1/orders?sslmod=require",
        "postgresql://hub:{}@127.0.0.1:one/orders",
    ],
)
def test_a_url_that_cannot_be_read_is_told_without_its_password(url: str) -> None:
    with pytest.raises(StoreUnavailable) as told, Database(url.format(SECRET)).transaction():
        pass
    assert "Nothing is read or written." in str(told.value)
    assert "%40" in str(told.value)
    assert SECRET not in f"{told.value!r} {told.value.__cause__!r}"


@pytest.mark.parametrize("url", ["{}", "host=127.0.0.1 password={}", "host=127.0.0.1 password={} options=a://b"])
def test_what_is_no_url_is_told_without_a_word_of_it(url: str) -> None:
    with pytest.raises(StoreUnavailable, match="has no scheme") as told:
        Database(url.format(SECRET))
    assert SECRET not in str(told.value)


def test_another_database_is_named() -> None:
    with pytest.raises(StoreUnavailable, match="begins with mysql://"):
        Database(f"mysql://hub:{SECRET}@127.0.0.1/orders")


@pytest.mark.parametrize("password", [f"{SECRET}%40%2F%20", f"12?{SECRET}=#", f"[{SECRET}:"])
def test_a_server_that_is_away_is_told_without_the_password(password: str) -> None:
    url = f"postgresql://hub:{password}@127.0.0.1:1/orders?connect_timeout=2"
    with pytest.raises(StoreUnavailable, match="cannot be reached") as told, Database(url).transaction():
        pass
    assert SECRET not in f"{told.value!r} {told.value.__cause__!r}"
