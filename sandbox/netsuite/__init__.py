"""A simulated NetSuite account: REST records, SuiteQL, OAuth 2.0 machine to machine; strict, with true state.

Imports nothing of ours but `sandbox.serving`. What the vendor has and this does not answers 501 SANDBOX_NOT_SIMULATED. Two
shared fault knobs never strike: `index_lag`, as SuiteQL reads the books themselves, and `partial_batch`, as a request holds
one record. One is its own: `after_submit`, a script that fails after the record was saved.
"""

from sandbox.netsuite.account import NetSuiteAccount
from sandbox.netsuite.process import build, serve

__all__ = ["NetSuiteAccount", "build", "serve"]
