"""The mouths of Orderhub: one folder per vendor, a small required class, optional protocols, one error tree."""
