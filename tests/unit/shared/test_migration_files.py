import hashlib

import pytest

from deborch_shared.db.migrations import Migrator, parse_migration

TEXT = "-- migrate:up\nCREATE TABLE t (a int);\n\n-- migrate:down\nDROP TABLE t;\n"


def test_a_file_in_dbmates_format_has_a_version_a_name_and_both_directions():
    migration = parse_migration("20260102030405_first_tables.sql", TEXT)
    assert (migration.version, migration.name) == ("20260102030405", "first_tables")
    assert migration.up.strip() == "CREATE TABLE t (a int);"
    assert migration.down.strip() == "DROP TABLE t;"
    assert migration.sha256 == hashlib.sha256(TEXT.encode()).hexdigest()


@pytest.mark.parametrize(
    "name", ["1_x.sql", "20260102030405.sql", "20260102030405_X.sql", "20260102030405_x.txt", "20260102030405_x.sql\n"]
)
def test_a_name_that_dbmate_would_not_order_is_refused(name):
    with pytest.raises(ValueError, match="dbmate"):
        parse_migration(name, TEXT)


def test_a_file_without_an_up_part_is_refused():
    with pytest.raises(ValueError, match="migrate:up"):
        parse_migration("20260102030405_x.sql", "CREATE TABLE t (a int);")


def test_an_option_that_we_do_not_obey_is_refused_rather_than_run_as_sql():
    with pytest.raises(ValueError, match="transaction:false"):
        parse_migration("20260102030405_x.sql", TEXT.replace("up", "up transaction:false", 1))


@pytest.mark.parametrize("package", ["deborch_auth.store.migrations"])
def test_the_migrations_that_ship_are_in_order_and_can_be_taken_back(package):
    migrations = Migrator(package).migrations
    assert [m.version for m in migrations] == sorted({m.version for m in migrations})
    assert all(m.up.strip() and m.down.strip() for m in migrations)
