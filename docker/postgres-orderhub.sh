#!/usr/bin/env bash
# Runs once, when the volume of the postgres container is new: the hub's own role and database beside Airflow's.
set -euo pipefail
psql --set=ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
  --set=password="$ORDERHUB_STORE_PASSWORD" <<'SQL'
CREATE ROLE orderhub LOGIN PASSWORD :'password';
CREATE DATABASE orderhub OWNER orderhub;
SQL
