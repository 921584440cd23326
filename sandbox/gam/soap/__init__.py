"""The wire: SOAP envelopes in and out, values by the contract table, faults with the vendor's typed errors."""

from sandbox.gam.soap.codec import Codec, Native
from sandbox.gam.soap.envelope import Door, MalformedRequestError, Request
from sandbox.gam.soap.errors import ApiError, ApiFaultError, Findings, fail

__all__ = [
    "ApiError",
    "ApiFaultError",
    "Codec",
    "Door",
    "Findings",
    "MalformedRequestError",
    "Native",
    "Request",
    "fail",
]
