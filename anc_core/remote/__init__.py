"""Recordings in buckets and on other machines, by URL: what they are called, listed, moved.

:mod:`address` says what a URL means, :mod:`access` opens what it names (fsspec, an extra) and tells
errors in our words, :mod:`objects` lists and moves, :mod:`spool` keeps what is in work on the disk.
"""
