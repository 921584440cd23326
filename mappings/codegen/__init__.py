"""Writes two flat Python functions from a plan: the fast path of a mapping.

They raise on the first thing that is wrong; what is wrong is then told by the reference. Every generated line that can
raise names its field in a comment, so that a traceback leads to the mapping file.
"""

from mappings.codegen.accepting import accepting_known, accepting_of
from mappings.codegen.parts import PARTS_KEPT, Part
from mappings.codegen.reading import reader, top
from mappings.codegen.source import Reader
from mappings.codegen.writing import Writer, writer

__all__ = ["PARTS_KEPT", "Part", "Reader", "Writer", "accepting_known", "accepting_of", "reader", "top", "writer"]
