"""The proxy's script knows what writes, loses the share it was told to, and says what it lost."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from chaos.lose_replies import LoseReplies, written

SOAP = b"""<?xml version='1.0'?><soap-env:Envelope xmlns:soap-env="x"><soap-env:Header/><soap-env:Body>
<ns0:%s xmlns:ns0="y"><ns0:lineItems/></ns0:%s></soap-env:Body></soap-env:Envelope>"""
AD_MANAGER = "/apis/ads/publisher/v202608/LineItemService"


@dataclass
class Flow:
    """As much of mitmproxy's flow as the script touches."""

    operation: bytes
    killed: bool = False
    request: SimpleNamespace = field(init=False)
    response: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(status_code=200))

    def __post_init__(self) -> None:
        body = SOAP.replace(b"%s", self.operation)
        self.request = SimpleNamespace(method="POST", path=AD_MANAGER, raw_content=body)

    def kill(self) -> None:
        self.killed = True


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [
        ("POST", AD_MANAGER, b"createLineItems"),
        ("POST", AD_MANAGER, b"updateOrders"),
        ("POST", AD_MANAGER, b"performOrderAction"),
    ],
)
def test_writes_of_ad_manager_are_known_by_their_operation(method: str, path: str, operation: bytes) -> None:
    assert written(method, path, SOAP.replace(b"%s", operation)) == operation.decode()


@pytest.mark.parametrize("operation", [b"getLineItemsByStatement", b"runReportJob", b"getCurrentNetwork"])
def test_questions_to_ad_manager_are_no_writes(operation: bytes) -> None:
    assert written("POST", AD_MANAGER, SOAP.replace(b"%s", operation)) is None


def test_writes_of_salesforce_are_known_by_their_method() -> None:
    path = "/services/data/v68.0/composite/sobjects"
    assert written("PATCH", f"{path}?x=1", b"{}") == f"PATCH {path}"
    assert written("GET", "/services/data/v68.0/query?q=SELECT+Id+FROM+Account", b"") is None
    assert written("POST", "/services/oauth2/token", b"grant_type=client_credentials") is None


def test_as_many_replies_are_lost_as_was_asked_and_each_is_told(tmp_path: Path) -> None:
    knob = tmp_path / "losses.json"
    knob.write_text(json.dumps({"rate": 0.25, "seed": 7}))
    script = LoseReplies(knob)
    flows = [Flow(b"createLineItems") for _ in range(400)]
    reads = [Flow(b"getOrdersByStatement") for _ in range(50)]
    for flow in [*flows, *reads]:
        script.response(flow)
    lost = sum(flow.killed for flow in flows)
    assert 70 < lost < 130
    assert not any(flow.killed for flow in reads)
    assert (tmp_path / "losses.dropped").read_text() == "200 createLineItems\n" * lost


def test_a_turned_knob_counts_at_once(tmp_path: Path) -> None:
    knob = tmp_path / "losses.json"
    knob.write_text(json.dumps({"rate": 1.0, "seed": 7}))
    script = LoseReplies(knob)
    before = Flow(b"createOrders")
    script.response(before)
    knob.write_text(json.dumps({"rate": 0.0, "seed": 7}))
    os.utime(knob, ns=(1, 1))
    after = Flow(b"createOrders")
    script.response(after)
    assert (before.killed, after.killed) == (True, False)
