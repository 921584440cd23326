"""Describe: the schema as the integration user sees it, in the vendor's JSON."""

from __future__ import annotations

from typing import Any

from sandbox.salesforce.facts import Field, SObject
from sandbox.salesforce.schema import View

# Properties that are the same for every field and object modelled here, as the recorded describes have them.
_FIELD_CONSTANTS: dict[str, Any] = {
    "aiPredictionField": False,
    "calculatedFormula": None,
    "controllerName": None,
    "defaultValueFormula": None,
    "dependentPicklist": False,
    "deprecatedAndHidden": False,
    "displayLocationInDecimal": False,
    "encrypted": False,
    "filteredLookupInfo": None,
    "formulaTreatNullNumberAsZero": False,
    "highScaleNumber": False,
    "inlineHelpText": None,
    "mask": None,
    "maskType": None,
    "polymorphicForeignKey": False,
    "queryByDistance": False,
    "referenceTargetField": None,
    "relationshipOrder": None,
    "restrictedDelete": False,
    "searchPrefilterable": False,
    "writeRequiresMasterRead": False,
}
_OBJECT_FLAGS = (
    "createable",
    "deepCloneable",
    "deletable",
    "feedEnabled",
    "layoutable",
    "mergeable",
    "mruEnabled",
    "searchable",
    "triggerable",
    "undeletable",
    "updateable",
)


def describe_field(field: Field) -> dict[str, Any]:
    """One field in describe's form."""
    text = field.is_text or field.type in ("id", "reference")
    bytes_per_unit = 1 if field.type in ("id", "reference") else 3
    picklist = [
        {"active": True, "defaultValue": False, "label": value, "validFor": None, "value": value}
        for value in field.picklist
    ]
    return {
        "aggregatable": field.aggregatable,
        "autoNumber": False,
        "byteLength": field.length * bytes_per_unit if text else 0,
        "calculated": field.calculated,
        # Recorded: a standard look-up shows false here even where its child relationship cascades.
        "cascadeDelete": field.custom and field.cascadeDelete,
        "caseSensitive": field.caseSensitive,
        "compoundFieldName": field.compoundFieldName,
        "createable": field.createable,
        "custom": field.custom,
        "defaultValue": False if field.type == "boolean" else None,
        "defaultedOnCreate": field.defaultedOnCreate,
        "digits": field.digits,
        "externalId": field.externalId,
        "extraTypeInfo": "plaintextarea" if field.type == "textarea" else None,
        "filterable": field.filterable,
        "groupable": field.groupable,
        "htmlFormatted": False,
        "idLookup": field.idLookup,
        "label": field.label,
        "length": field.length,
        "name": field.name,
        "nameField": field.nameField,
        "namePointing": False,
        "nillable": field.nillable,
        "permissionable": field.custom or (field.nillable and field.createable),
        "picklistValues": picklist,
        "precision": field.precision,
        "referenceTo": list(field.referenceTo),
        "relationshipName": field.relationshipName,
        "restrictedPicklist": field.restrictedPicklist,
        "scale": field.scale,
        "soapType": field.soap_type,
        "sortable": field.sortable,
        "type": field.type,
        "unique": field.unique,
        "updateable": field.updateable,
        **_FIELD_CONSTANTS,
    }


def describe_summary(sobject: SObject, prefix: str) -> dict[str, Any]:
    """One object as the global describe lists it."""
    root = f"{prefix}/sobjects/{sobject.name}"
    return {
        "activateable": False,
        "associateEntityType": None,
        "associateParentEntity": None,
        "custom": sobject.name.endswith("__c"),
        "customSetting": False,
        "deprecatedAndHidden": False,
        "hasSubtypes": False,
        "isInterface": False,
        "isSubtype": False,
        "keyPrefix": sobject.keyPrefix,
        "label": sobject.label,
        "labelPlural": sobject.labelPlural,
        "name": sobject.name,
        "queryable": True,
        "replicateable": True,
        "retrieveable": True,
        **{flag: getattr(sobject, flag) for flag in _OBJECT_FLAGS},
        "urls": {"rowTemplate": f"{root}/{{ID}}", "describe": f"{root}/describe", "sobject": root},
    }


def describe_global(view: View, prefix: str) -> dict[str, Any]:
    """All objects."""
    listed = [describe_summary(view.objects[name], prefix) for name in sorted(view.objects)]
    return {"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": listed}


def describe_object(sobject: SObject, view: View, prefix: str) -> dict[str, Any]:
    """One object with its fields and child relationships."""
    children: list[dict[str, Any]] = [
        {
            "cascadeDelete": child.field.cascadeDelete,
            "childSObject": child.child,
            "deprecatedAndHidden": False,
            "field": child.field.name,
            "junctionIdListNames": [],
            "junctionReferenceTo": [],
            "relationshipName": child.name,
            "restrictedDelete": False,
        }
        for child in view.children(sobject.name)
    ]
    master = {
        "active": True,
        "available": True,
        "defaultRecordTypeMapping": True,
        "developerName": "Master",
        "master": True,
        "name": "Master",
        "recordTypeId": "012000000000000AAA",
        "urls": {"layout": f"{prefix}/sobjects/{sobject.name}/describe/layouts/012000000000000AAA"},
    }
    everything = {"label": f"All {sobject.labelPlural.lower()}", "name": "everything"}
    return {
        **describe_summary(sobject, prefix),
        "actionOverrides": [],
        "childRelationships": children,
        "compactLayoutable": sobject.layoutable,
        "defaultImplementation": None,
        "extendedBy": None,
        "extendsInterfaces": None,
        "fields": [describe_field(field) for field in sobject.fields],
        "implementedBy": None,
        "implementsInterfaces": None,
        "listviewable": None,
        "lookupLayoutable": None,
        "namedLayoutInfos": [],
        "networkScopeFieldName": None,
        "recordTypeInfos": [master],
        "searchLayoutable": sobject.layoutable,
        "sobjectDescribeOption": "FULL",
        "supportedScopes": [everything],
    }
