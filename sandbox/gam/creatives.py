"""Creatives and their associations with line items: create, update, find, and what a trafficker does."""

from __future__ import annotations

from sandbox.gam.checks import check_batch, check_lengths, check_required
from sandbox.gam.companies import ADVERTISER_TYPES
from sandbox.gam.line_status import line_creatives, stats
from sandbox.gam.moments import MomentError, read_moment
from sandbox.gam.network import Network
from sandbox.gam.pages import page, selected
from sandbox.gam.pql import Property
from sandbox.gam.soap import Findings, Native, fail

_READ_ONLY = ("previewUrl", "policyLabels", "lastModifiedDateTime", "thirdPartyDataDeclarationStatus")
_ASSOCIATION_READ_ONLY = (
    "status",
    "stats",
    "lastModifiedDateTime",
    "startDateTime",
    "endDateTime",
    "startDateTimeType",
)
_ASSOCIATION_ACTIONS = {
    "ActivateLineItemCreativeAssociations": "ACTIVE",
    "DeactivateLineItemCreativeAssociations": "INACTIVE",
    "DeleteLineItemCreativeAssociations": None,
}


def create_creatives(network: Network, creatives: list[Native]) -> list[Native]:
    """Create image or third-party creatives, all or none. Assets are not looked into."""
    check_batch(network, creatives, "creatives")
    findings = Findings()
    for index, creative in enumerate(creatives):
        path = f"[{index}]"
        needed = ("snippet",) if creative.get("@type") == "ThirdPartyCreative" else ("primaryImageAsset",)
        check_required(creative, ("name", "advertiserId", *needed), path, findings)
        check_lengths(creative, {"name": 255}, path, findings)
        size = creative.get("size") or {}
        if size.get("width", 0) < 1 or size.get("height", 0) < 1:
            findings.add("RequiredSizeError", "REQUIRED", f"{path}.size")
        advertiser = network.tables["Company"].get(creative.get("advertiserId"))
        if advertiser is None:
            findings.add("CommonError", "NOT_FOUND", f"{path}.advertiserId", creative.get("advertiserId"))
        elif advertiser["type"] not in ADVERTISER_TYPES:
            findings.add("CreativeError", "INVALID_COMPANY_TYPE", f"{path}.advertiserId", advertiser["id"])
    findings.refuse()
    return [show_creative(network, _add_creative(network, creative)) for creative in creatives]


def get_creatives(network: Network, statement: Native | None) -> Native:
    """The creatives that a statement selects."""
    return page(network, "Creative", statement, _CREATIVE_PROPERTIES, show_creative)


def show_creative(network: Network, row: Native) -> Native:
    """A creative as the vendor returns it; the bytes of an asset are not returned."""
    shown = {name: value for name, value in row.items() if name[0] != "_"}
    if (asset := shown.get("primaryImageAsset")) is not None:
        shown["primaryImageAsset"] = {name: value for name, value in asset.items() if name != "assetByteArray"}
    shown["lastModifiedDateTime"] = network.moment(row["_modified"])
    return shown


_CREATIVE_PROPERTIES: dict[str, Property[Native]] = {
    "id": Property("number", lambda row: row["id"]),
    "name": Property("text", lambda row: row["name"]),
    "advertiserid": Property("number", lambda row: row["advertiserId"]),
    "width": Property("number", lambda row: row["size"]["width"]),
    "height": Property("number", lambda row: row["size"]["height"]),
    "lastmodifieddatetime": Property("moment", lambda row: row["_modified"]),
}


def create_associations(network: Network, associations: list[Native]) -> list[Native]:
    """Associate creatives with line items, all or none."""
    check_batch(network, associations, "lineItemCreativeAssociations")
    findings = Findings()
    seen: set[tuple[int, int]] = set()
    for index, association in enumerate(associations):
        path = f"[{index}]"
        check_required(association, ("lineItemId", "creativeId"), path, findings)
        _check_association(network, association, path, findings)
        pair = (association.get("lineItemId", 0), association.get("creativeId", 0))
        if pair in seen or any(
            row["creativeId"] == pair[1]
            for row in network.tables["LineItemCreativeAssociation"].having("lineitemid", pair[0])
        ):
            findings.add("CommonError", "ALREADY_EXISTS", path, pair[1])
        seen.add(pair)
    findings.refuse()
    return [show_association(network, _add_association(network, each)) for each in associations]


def update_associations(network: Network, associations: list[Native]) -> list[Native]:
    """Replace associations, which a line item id and a creative id name together, all or none."""
    check_batch(network, associations, "lineItemCreativeAssociations")
    findings = Findings()
    stored: list[Native] = []
    for index, association in enumerate(associations):
        rows = [
            row
            for row in network.tables["LineItemCreativeAssociation"].having("lineitemid", association.get("lineItemId"))
            if row["creativeId"] == association.get("creativeId")
        ]
        if not rows:
            findings.add("CommonError", "NOT_FOUND", f"[{index}]", association.get("creativeId"))
            continue
        _check_association(network, association, f"[{index}]", findings)
        stored.append(rows[0])
    findings.refuse()
    updated = []
    for association, old in zip(associations, stored, strict=True):
        row = _association_row(association)
        row.update(id=old["id"], status=old["status"], _modified=network.now())
        network.tables["LineItemCreativeAssociation"].put(row)
        updated.append(show_association(network, row))
    return updated


def get_associations(network: Network, statement: Native | None) -> Native:
    """The associations that a statement selects."""
    return page(network, "LineItemCreativeAssociation", statement, _ASSOCIATION_PROPERTIES, show_association)


def perform_association_action(network: Network, action: Native, statement: Native | None) -> Native:
    """Activate, deactivate or delete associations; the number of changed ones."""
    kind = str(action.get("@type"))
    if kind not in _ASSOCIATION_ACTIONS:
        fail("CommonError", "UNSUPPORTED_OPERATION", "lineItemCreativeAssociationAction", kind)
    status = _ASSOCIATION_ACTIONS[kind]
    table = network.tables["LineItemCreativeAssociation"]
    changes = 0
    for row in selected(network, "LineItemCreativeAssociation", statement, _ASSOCIATION_PROPERTIES):
        if status is None:
            table.remove(row["id"])
        elif row["status"] == status:
            fail("LineItemCreativeAssociationOperationError", "NOT_APPLICABLE", "id", row["creativeId"])
        else:
            table.put({**row, "status": status, "_modified": network.now()})
        changes += 1
    return {"numChanges": changes}


def show_association(network: Network, row: Native) -> Native:
    """An association as the vendor returns it. Statistics are the line's, on its first creative."""
    shown = {name: value for name, value in row.items() if name[0] != "_" and name != "id"}
    shown["startDateTime"], shown["endDateTime"] = network.moment(row["_start"]), network.moment(row["_end"])
    shown["lastModifiedDateTime"] = network.moment(row["_modified"])
    line = network.tables["LineItem"].get(row["lineItemId"])
    if line is not None and (figures := stats(network, line, network.now())) is not None:
        first = min(each["id"] for each in line_creatives(network, line["id"]))
        if first == row["id"]:
            shown["stats"] = {"stats": figures}
    return shown


_ASSOCIATION_PROPERTIES: dict[str, Property[Native]] = {
    "lineitemid": Property("number", lambda row: row["lineItemId"]),
    "creativeid": Property("number", lambda row: row["creativeId"]),
    "status": Property("text", lambda row: row["status"]),
    "manualcreativerotationweight": Property("number", lambda row: row.get("manualCreativeRotationWeight")),
    "destinationurl": Property("text", lambda row: row.get("destinationUrl")),
    "lastmodifieddatetime": Property("moment", lambda row: row["_modified"]),
}


def attach_creative(network: Network, line: Native) -> int:
    """What a trafficker does: give each placeholder of a line the creatives it lacks; how many were attached."""
    order = network.tables["Order"].get(line["orderId"])
    if order is None:
        raise LookupError(f"line {line['id']} has no order")
    present = [row["creativeId"] for row in line_creatives(network, line["id"])]
    attached = 0
    for placeholder in line["creativePlaceholders"]:
        size = (placeholder["size"]["width"], placeholder["size"]["height"])
        fitting = [
            creative
            for creative in network.tables["Creative"].having("advertiserid", order["advertiserId"])
            if (creative["size"]["width"], creative["size"]["height"]) == size
        ]
        have = sum(creative["id"] in present for creative in fitting)
        spare = [creative for creative in fitting if creative["id"] not in present]
        for _ in range(placeholder["expectedCreativeCount"] - have):
            creative = (
                spare.pop() if spare else _trafficker_creative(network, order["advertiserId"], placeholder["size"])
            )
            _add_association(network, {"lineItemId": line["id"], "creativeId": creative["id"]})
            present.append(creative["id"])
            attached += 1
    return attached


def _trafficker_creative(network: Network, advertiser_id: int, size: Native) -> Native:
    return _add_creative(
        network,
        {
            "@type": "ThirdPartyCreative",
            "advertiserId": advertiser_id,
            "name": f"Creative {size['width']}x{size['height']}",
            "size": {"width": size["width"], "height": size["height"], "isAspectRatio": False},
            "snippet": "<a href='%%CLICK_URL_UNESC%%'>Advertisement</a>",
        },
    )


def _add_creative(network: Network, creative: Native) -> Native:
    row = {name: value for name, value in creative.items() if name not in _READ_ONLY}
    row["size"] = {"isAspectRatio": False, **row["size"]}
    row["id"] = network.tables["Creative"].new_id()
    row["_modified"] = network.now()
    network.tables["Creative"].put(row)
    return row


def _add_association(network: Network, association: Native) -> Native:
    row = _association_row(association)
    row.update(id=network.tables["LineItemCreativeAssociation"].new_id(), status="ACTIVE", _modified=network.now())
    network.tables["LineItemCreativeAssociation"].put(row)
    return row


def _association_row(association: Native) -> Native:
    row = {name: value for name, value in association.items() if name not in _ASSOCIATION_READ_ONLY}
    row.setdefault("manualCreativeRotationWeight", 10.0)
    row.setdefault("sequentialCreativeRotationIndex", 1)
    row["_start"] = _instant(association.get("startDateTime"))
    row["_end"] = _instant(association.get("endDateTime"))
    return row


def _instant(value: Native | None) -> int | None:
    return None if value is None else read_moment(value)


def _check_association(network: Network, association: Native, path: str, findings: Findings) -> None:
    line = network.tables["LineItem"].get(association.get("lineItemId"))
    creative = network.tables["Creative"].get(association.get("creativeId"))
    if association.get("creativeSetId") is not None:
        findings.add("FeatureError", "MISSING_FEATURE", f"{path}.creativeSetId", association["creativeSetId"])
    if line is None and association.get("lineItemId") is not None:
        findings.add("CommonError", "NOT_FOUND", f"{path}.lineItemId", association["lineItemId"])
    if creative is None and association.get("creativeId") is not None:
        findings.add("CommonError", "NOT_FOUND", f"{path}.creativeId", association["creativeId"])
    if line is None or creative is None:
        return
    order = network.tables["Order"].get(line["orderId"])
    if order is not None and creative["advertiserId"] != order["advertiserId"]:
        findings.add(
            "LineItemCreativeAssociationError",
            "CREATIVE_IN_WRONG_ADVERTISERS_LIBRARY",
            f"{path}.creativeId",
            creative["id"],
        )
    _check_association_flight(association, line, path, findings)
    sizes = [placeholder["size"] for placeholder in line["creativePlaceholders"]]
    shapes = {(size["width"], size["height"]) for size in sizes}
    own = association.get("sizes") or [creative["size"]]
    if not any((size.get("width"), size.get("height")) in shapes for size in own):
        findings.add("LineItemCreativeAssociationError", "INVALID_LINEITEM_CREATIVE_PAIRING", path, creative["id"])


def _check_association_flight(association: Native, line: Native, path: str, findings: Findings) -> None:
    try:
        start, end = _instant(association.get("startDateTime")), _instant(association.get("endDateTime"))
    except MomentError as error:
        findings.add("LineItemError", "INVALID_LINE_ITEM_DATE_TIME", path, str(error))
        return
    kind = "LineItemCreativeAssociationError"
    if start is not None and start < line["_start"]:
        findings.add(kind, "STARTDATE_BEFORE_LINEITEM_STARTDATE", f"{path}.startDateTime")
    if start is not None and line["_end"] is not None and start >= line["_end"]:
        findings.add(kind, "STARTDATE_NOT_BEFORE_LINEITEM_ENDDATE", f"{path}.startDateTime")
    if end is not None and line["_end"] is not None and end > line["_end"]:
        findings.add(kind, "ENDDATE_AFTER_LINEITEM_ENDDATE", f"{path}.endDateTime")
    if end is not None and end <= (start if start is not None else line["_start"]):
        findings.add(kind, "ENDDATE_NOT_AFTER_STARTDATE", f"{path}.endDateTime")
