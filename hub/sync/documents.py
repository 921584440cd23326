"""Document lanes: immutable, never coalesced, posted exactly once or visibly in doubt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hub.encoding import encode, fingerprint
from hub.errors import DocumentChanged
from hub.session import Session
from hub.store import documents, lanes
from hub.store.database import Cursor
from hub.store.documents import Document
from hub.store.lanes import DOCUMENT
from hub.sync.targets import STAGES


def want_document(
    session: Session,
    cur: Cursor,
    *,
    connection: str,
    document_id: str,
    record: str,
    name: str,
    payload: Mapping[str, Any],
    order_id: str = "",
) -> bool:
    """Have a document posted; False when it is wanted already. Part of the caller's transaction.

    Raises DocumentChanged for other content under an id that is taken: a correction is a document of its own.
    """
    now = session.machine.now()
    wanted = Document(document_id, record, name, encode(dict(payload)))
    kept = documents.put(cur, connection, wanted, now)
    if (kept.record, kept.payload) != (wanted.record, wanted.payload):
        raise DocumentChanged(
            f"The document {document_id} of {connection} exists with other content. Nothing was changed. Whoever prepares "
            "documents makes a new one: a credit memo or a supplementary invoice."
        )
    return lanes.want(
        cur,
        connection=connection,
        kind=DOCUMENT,
        entity_id=document_id,
        facet="",
        order_id=order_id,
        order_facet="",
        stage=STAGES[DOCUMENT],
        version=1,
        desired_hash=fingerprint(record.encode() + b"|" + wanted.payload),
        now=now,
    )
