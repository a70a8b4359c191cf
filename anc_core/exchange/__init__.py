"""Sessions leave the store as files and come back from them, bit for bit.

``export`` writes JSON, JSON lines, CSV or Parquet in constant memory; ``load`` reads them back
after it has verified all of it. ``docs/export.md`` describes the files.
"""
