"""The migration tree and the model are two descriptions of one schema."""

from __future__ import annotations

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect
from store_samples import process

from anc_core.store.schema import HEAD, alembic_config, compared_on
from anc_core.store.tables import Base


def test_the_constant_names_the_newest_revision(database):
    with database.engine.connect() as connection:
        script = ScriptDirectory.from_config(alembic_config(connection))
    assert script.get_heads() == [HEAD]


def test_migrations_lead_to_exactly_the_model(database):
    with database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "compare_server_default": True,
                "include_object": compared_on(database.dialect),
            },
        )
        assert compare_metadata(context, Base.metadata) == []


def test_check_constraints_and_cascades_are_in_the_database(database):
    # Alembic's comparison sees neither check constraints nor, on SQLite, ON DELETE.
    with database.engine.connect() as connection:
        seen = inspect(connection)
        assert [c["name"] for c in seen.get_check_constraints("audio_sessions")] == [
            "ck_audio_sessions_status"
        ]
        for table in Base.metadata.sorted_tables:
            wanted = {(key.parent.name, key.ondelete) for key in table.foreign_keys}
            found = {
                (key["constrained_columns"][0], key["options"].get("ondelete"))
                for key in seen.get_foreign_keys(table.name)
            }
            assert found == wanted


def test_down_to_nothing_and_up_again(database):
    process(database)
    with database.engine.begin() as connection:
        config = alembic_config(connection)
        command.downgrade(config, "base")
        assert inspect(connection).get_table_names() == ["alembic_version"]
        command.upgrade(config, "head")
    process(database)


def test_alembic_itself_finds_nothing_to_do(database, capsys):
    with database.engine.begin() as connection:
        command.check(alembic_config(connection))
    assert "No new upgrade" in capsys.readouterr().out
