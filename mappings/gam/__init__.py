"""Mappings between Google Ad Manager records and canonical entities, and the transforms they name."""
