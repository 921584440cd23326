"""The network's places: what PQL shows as `Geo_Target` and what a line's geo targeting may name."""

from sandbox.gam.geography.places import Atlas, Place, load_atlas

__all__ = ["Atlas", "Place", "load_atlas"]
