"""Stages of the stream; each keeps the laws of ``processors.base``."""
