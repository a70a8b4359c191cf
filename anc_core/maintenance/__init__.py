"""Upkeep of an installation: retention, vacuum, backups, erasure, and whether all is well."""
