"""Mappings between Salesforce records and canonical entities, and the transforms they name."""
