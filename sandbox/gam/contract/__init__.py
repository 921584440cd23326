"""The SOAP contract of the sandbox: a compact table of facts that the project owns and makes its WSDLs from.

`v202608/` holds the table (types, enums, services), `table` reads it, `wsdl` writes WSDLs and XML schemas from it,
`vendor` reads the vendor's own files, `compare` finds where the two disagree, `extract` makes the table anew.
"""

from sandbox.gam.contract.compare import Deviation, deviations, left_out
from sandbox.gam.contract.table import (
    ComplexType,
    Contract,
    Field,
    Operation,
    Service,
    known_versions,
    load_contract,
)
from sandbox.gam.contract.vendor import read_vendor
from sandbox.gam.contract.wsdl import namespace, render_wsdl

__all__ = [
    "ComplexType",
    "Contract",
    "Deviation",
    "Field",
    "Operation",
    "Service",
    "deviations",
    "known_versions",
    "left_out",
    "load_contract",
    "namespace",
    "read_vendor",
    "render_wsdl",
]
