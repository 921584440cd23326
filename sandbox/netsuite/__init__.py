"""A simulated NetSuite account: REST records, SuiteQL, OAuth 2.0 machine to machine; strict, with true state.

Imports nothing of ours but `sandbox.serving`. What the vendor has and this does not answers 501 SANDBOX_NOT_SIMULATED.
"""

from sandbox.netsuite.account import NetSuiteAccount
from sandbox.netsuite.process import build, serve

__all__ = ["NetSuiteAccount", "build", "serve"]
