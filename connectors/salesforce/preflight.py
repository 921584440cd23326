"""The check of a connection: token, org, API version, calls left, and every used field against the org's describe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from connectors.base import CheckReport, FieldSchema, FieldType, Finding, Severity
from connectors.errors import Misconfigured, PermissionMissing, SchemaDrift
from connectors.salesforce.describes import DescribedField, DescribedObject, Describes
from connectors.salesforce.schemas import CUSTOM_SUFFIX, TYPES, record_schemas
from connectors.salesforce.session import Call, OrgSession, odd_reply
from connectors.salesforce.settings import WRITTEN, SalesforceSettings
from connectors.salesforce.soql import checked_fields, is_id

RETIRING = 40  # API versions 31 to 40 are announced for retirement


def run(
    session: OrgSession,
    describes: Describes,
    settings: SalesforceSettings,
    used: Mapping[str, Sequence[str]],
    written: Mapping[str, Sequence[str]],
) -> CheckReport:
    """Ask the org and compare. `used` and `written` are fields by record type; writes nothing.

    Raises Misconfigured when the org does not speak the API version, else as a read.
    """
    outdated = _version(session, settings)
    org = session.query("SELECT Id, Name FROM Organization LIMIT 1", most=1, record="Organization")
    if not org or not is_id(org[0].get("Id")):
        raise odd_reply("the Organization has no Id")
    findings = [
        Finding(Severity.OK, "account", f"The token works; the org is {org[0].get('Name')!s:.80}."),
        *outdated,
        *_calls_left(session, settings),
    ]
    if settings.endpoint:
        sentence = f"Requests go to {settings.endpoint} instead of {settings.domain}.salesforce.com."
        findings.append(Finding(Severity.OK, "endpoint", sentence))
    for record in dict.fromkeys((*used, *written, *settings.external_id_fields)):
        findings += _record(describes, settings, record, used.get(record, ()), written.get(record, ()))
    return CheckReport(account=str(org[0]["Id"])[:15], findings=tuple(findings))


def _version(session: OrgSession, settings: SalesforceSettings) -> list[Finding]:
    answer = session.send_json(Call("/services/data/"))
    versions = [v.get("version") for v in answer if isinstance(v, dict)] if isinstance(answer, list) else []
    spoken = sorted((v for v in versions if isinstance(v, str) and v.replace(".", "").isdecimal()), key=float)
    if settings.api_version not in spoken:
        raise Misconfigured(
            "API-VERSION",
            f"The org does not speak API version {settings.api_version}. Nothing can be read or written. The hub's "
            f"administrator sets api_version to one of {', '.join(spoken[-5:]) or 'none that it named'}.",
        )
    if float(settings.api_version) > RETIRING:
        return []
    sentence = (
        f"API version {settings.api_version} is announced for retirement. It works until then. The hub's administrator "
        f"sets api_version to {spoken[-1]}."
    )
    return [Finding(Severity.WARNING, "api_version", sentence)]


def _calls_left(session: OrgSession, settings: SalesforceSettings) -> Iterator[Finding]:
    answer = session.send_json(Call("limits/"))
    daily = answer.get("DailyApiRequests") if isinstance(answer, dict) else None
    most, left = (daily.get("Max"), daily.get("Remaining")) if isinstance(daily, dict) else (None, None)
    if not isinstance(most, int) or not isinstance(left, int):
        yield Finding(
            Severity.WARNING,
            "daily_call_limit",
            "The org does not tell its call limit. The hub trusts daily_call_limit. A Salesforce administrator gives the "
            "integration user View Setup and Configuration.",
        )
        return
    if left <= settings.daily_call_reserve:
        yield Finding(
            Severity.WARNING,
            "daily_call_reserve",
            f"{left} of {most} API calls are left in these 24 hours, and {settings.daily_call_reserve} are reserved for "
            "others. The hub waits until more are free. An administrator lowers the reserve or buys calls.",
        )
    else:
        yield Finding(Severity.OK, "daily_call_limit", f"{left} of {most} API calls are left in these 24 hours.")
    if most < settings.daily_call_limit:
        yield Finding(
            Severity.WARNING,
            "daily_call_limit",
            f"The org allows {most} API calls in 24 hours, the setting says {settings.daily_call_limit}. The hub may run "
            f"into the limit. The hub's administrator sets daily_call_limit to {most}.",
        )


def _record(
    describes: Describes, settings: SalesforceSettings, record: str, used: Sequence[str], written: Sequence[str]
) -> Iterator[Finding]:
    try:
        described = describes.fresh(record)
    except (SchemaDrift, PermissionMissing) as error:
        yield Finding(
            Severity.ERROR,
            record,
            f"{record} does not exist in the org, or the integration user may not see it ({error.code}). Nothing of it is "
            "read or written. A Salesforce administrator grants access to the object.",
        )
        return
    if not described.queryable:
        yield Finding(
            Severity.ERROR, record, f"{record} cannot be queried. Nothing of it is read. See the object's rights."
        )
    if written and not described.updateable:
        yield Finding(
            Severity.ERROR,
            record,
            f"The integration user may not edit {record}. The mirror is not written. A Salesforce administrator adds Edit "
            "to its permission set.",
        )
    if marker := settings.external_id_fields.get(record):
        yield from _marker(described, marker)
    problems = 0
    for path in checked_fields(record, (*used, *written)):
        for finding in _path(describes, settings, described, path, path in set(written)):
            problems += 1
            yield finding
    if not problems:
        yield Finding(Severity.OK, record, f"All {len({*used, *written})} fields in use are there.")


def _marker(described: DescribedObject, name: str) -> Iterator[Finding]:
    subject = f"{described.name}.{name}"
    field = described.field(name)
    if field is None:
        yield _absent(subject)
    elif not (field.external_id and field.unique):
        yield Finding(
            Severity.ERROR,
            subject,
            f"{subject} is not both external id and unique. A lost reply could create a record twice, so none is created. "
            "A Salesforce administrator ticks External ID and Unique on the field.",
        )
    elif not field.createable or not described.createable:
        yield Finding(
            Severity.ERROR,
            subject,
            f"The integration user may not create {described.name} with {name}. No record is created. A Salesforce "
            "administrator extends its permission set.",
        )


def _path(
    describes: Describes, settings: SalesforceSettings, described: DescribedObject, path: str, written: bool
) -> Iterator[Finding]:
    subject = f"{described.name}.{path}"
    here = described
    *relationships, name = path.split(".")
    for relationship in relationships:
        reference = here.relationship(relationship)
        if reference is None or not reference.refers_to:
            yield _absent(subject)
            return
        here = describes.known(reference.refers_to[0])
    if path == "CurrencyIsoCode" and not settings.multi_currency:
        if here.field(name) is not None:
            yield Finding(
                Severity.ERROR,
                subject,
                "The org has several currencies, but the connection says multi_currency: false. Amounts would be read in "
                "the wrong currency. The hub's administrator sets multi_currency: true.",
            )
        return
    field = here.field(name)
    if field is None:
        yield _absent(subject, single_currency=name == "CurrencyIsoCode")
        return
    if field.type not in TYPES:
        yield Finding(
            Severity.ERROR,
            subject,
            f"{subject} has the type {field.type}, which the connector cannot carry. Whoever keeps the mapping uses its "
            "parts instead.",
        )
    yield from _right_to_write(subject, described, field, written)
    known = record_schemas().get(here.name)
    if known is not None and field.name in known.fields:
        yield from _differences(subject, field, known.fields[field.name])


def _right_to_write(
    subject: str, described: DescribedObject, field: DescribedField, written: bool
) -> Iterator[Finding]:
    if field.updateable:
        return
    remedy = "A Salesforce administrator gives the integration user Edit on the field (field-level security)."
    if written:
        yield Finding(Severity.ERROR, subject, f"{subject} cannot be written. Its mirror stays empty. {remedy}")
    elif described.name in WRITTEN and field.name.endswith(CUSTOM_SUFFIX):
        yield Finding(
            Severity.WARNING,
            subject,
            f"{subject} can be read but not written. If the mapping writes it, its records are parked. {remedy}",
        )


def _differences(subject: str, field: DescribedField, known: FieldSchema) -> Iterator[Finding]:
    if TYPES.get(field.type) is not known.type:
        yield Finding(
            Severity.WARNING,
            subject,
            f"{subject} is a {field.type} here, a {known.type} as a rule. The mapping may fail on its values. Whoever keeps "
            "the mapping checks it.",
        )
    if known.length and field.length and field.length < known.length:
        yield Finding(
            Severity.WARNING,
            subject,
            f"{subject} takes {field.length} characters here, {known.length} as a rule. Longer texts are parked. Whoever "
            "keeps the mapping sets the length.",
        )
    gone, new = sorted(known.values - field.values), sorted(field.values - known.values)
    if known.values and field.values and (gone or new):
        said = "; ".join(
            part
            for part in (
                f"not there: {', '.join(gone)}" if gone else "",
                f"the org's own: {', '.join(new)}" if new else "",
            )
            if part
        )
        closed = "Any other value is refused. " if field.restricted else ""
        yield Finding(
            Severity.WARNING,
            subject,
            f"The values of {subject} are not the standard ones ({said[:300]}). {closed}Whoever keeps the mapping lists the "
            "org's values.",
        )


_KINDS: Mapping[FieldType, str] = {
    FieldType.STRING: "text", FieldType.ENUM: "text", FieldType.ID: "text",
    FieldType.INTEGER: "number", FieldType.DECIMAL: "number",
}  # fmt: skip
"""Types whose values can stand for each other in JSON; any other type stands for itself alone."""


def declared(
    describes: Describes, read: Mapping[str, Sequence[FieldSchema]], written: Mapping[str, Sequence[FieldSchema]]
) -> list[Finding]:
    """What the org's own fields are otherwise than the mappings declare; fields that are not there are left to `run`.

    Of a field that is read its type and unknown values matter, of one that is written its length and missing values, too.
    """
    found: dict[Finding, None] = {}
    for record, fields, writes in (
        *((record, fields, False) for record, fields in read.items()),
        *((record, fields, True) for record, fields in written.items()),
    ):
        try:
            described = describes.known(record)
        except (SchemaDrift, PermissionMissing):
            continue  # told by `run`
        for field in fields:
            there = described.field(field.path)
            if there is not None:
                found |= dict.fromkeys(_declared(f"{record}.{field.path}", there, field, writes))
    return list(found)


def _declared(subject: str, field: DescribedField, said: FieldSchema, writes: bool) -> Iterator[Finding]:
    kind = TYPES.get(field.type)
    if kind is not None and _KINDS.get(kind, kind) != _KINDS.get(said.type, said.type):
        yield Finding(
            Severity.ERROR,
            subject,
            f"{subject} is a {field.type} here, and the mapping takes it for {said.type}. Its records are parked. A "
            "Salesforce administrator makes the field anew, or whoever keeps the mapping adapts it.",
        )
        return
    if writes and said.length and field.length and field.length < said.length:
        yield Finding(
            Severity.WARNING,
            subject,
            f"{subject} takes {field.length} characters here, and the mapping writes up to {said.length}. Longer texts are "
            "refused. A Salesforce administrator lengthens the field, or whoever keeps the mapping sets its length.",
        )
    odd = sorted(said.values - field.values) if writes and field.restricted else []
    odd = odd or (sorted(field.values - said.values) if not writes and said.values_closed else [])
    if said.values and field.values and odd:
        which = "the org's list lacks" if writes else "the mapping does not know"
        yield Finding(
            Severity.WARNING,
            subject,
            f"Of the values of {subject} {which} {', '.join(odd)[:300]}. Records that hold them are parked. Whoever keeps "
            "the mapping lists the org's values.",
        )


def _absent(subject: str, *, single_currency: bool = False) -> Finding:
    also = (
        " If the org has one currency only, the hub's administrator sets multi_currency: false and currency."
        if single_currency
        else ""
    )
    return Finding(
        Severity.ERROR,
        subject,
        f"{subject} does not exist, or it is hidden from the integration user: Salesforce shows no difference. Its mapping "
        "stops. A Salesforce administrator looks for the field and grants Read on it, or whoever keeps the mapping removes "
        f"it.{also}",
    )
