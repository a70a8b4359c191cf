"""The version of the core; part of every fingerprint: another core may compute otherwise."""

__version__ = "0.1.0"
