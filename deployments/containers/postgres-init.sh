#!/bin/sh
# Runs once, when the data folder is empty: a database and an owner each for the store and for Prefect,
# so that neither can read the other.
set -eu
psql -v ON_ERROR_STOP=1 -v anc="$ANC_DB_PASSWORD" -v prefect="$PREFECT_DB_PASSWORD" \
     --username "$POSTGRES_USER" --dbname postgres <<'SQL'
CREATE ROLE anc LOGIN PASSWORD :'anc';
CREATE ROLE prefect LOGIN PASSWORD :'prefect';
CREATE DATABASE anc OWNER anc;
CREATE DATABASE prefect OWNER prefect;
REVOKE CONNECT ON DATABASE anc, prefect FROM PUBLIC;
\connect prefect
CREATE EXTENSION IF NOT EXISTS pg_trgm;
SQL
