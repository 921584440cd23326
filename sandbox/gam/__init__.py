"""A simulated Google Ad Manager network: SOAP services, reports, OAuth tokens and the people around them."""

from sandbox.gam.service import create_app, serve
from sandbox.gam.settings import Settings

__all__ = ["Settings", "create_app", "serve"]
