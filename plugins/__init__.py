"""The window: what Airflow shows of the hub and needs from it. Loaded through entry points, never from a plugins folder."""
