"""Alembic's tree: one for SQLite and PostgreSQL.

A new revision: write ``versions/v000N_what.py`` by hand after the model of the others, with the
plain types beneath ours (``Text``, ``DateTime(timezone=True)``, ``JSON``), and set ``schema.HEAD``.
``tests/store/test_migrations.py`` says whether the tree and the model agree on both dialects.
"""
