"""A simulated Salesforce org on loopback: REST, SOQL, collections, composite, Bulk 2.0, OAuth; strict, with true state.

Imports nothing of ours but `sandbox.serving`. What the vendor has and this does not answers 501 SANDBOX_NOT_SIMULATED.
"""

from sandbox.salesforce.process import build, serve
from sandbox.salesforce.state import SalesforceOrg

__all__ = ["SalesforceOrg", "build", "serve"]
