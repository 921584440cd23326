# The project's one image: the hash lock and the project's wheel in a virtual environment. It is not built in CI.
# Every container of docker-compose.yml runs it, so that tasks, triggers and pages see the same code.
FROM python:3.11-slim-bookworm AS build
WORKDIR /build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/orderhub
COPY requirements/orderhub.lock requirements/
RUN /opt/orderhub/bin/pip install --no-deps --require-hashes -r requirements/orderhub.lock
COPY pyproject.toml README.md ./
COPY oms_schema oms_schema
COPY mappings mappings
COPY connectors connectors
COPY hub hub
COPY dags dags
COPY plugins plugins
COPY cli cli
COPY sandbox sandbox
# The build back end comes from the lock too; nothing is fetched here.
RUN /opt/orderhub/bin/pip install --no-deps --no-build-isolation --no-index .

FROM python:3.11-slim-bookworm
RUN groupadd --gid 50000 orderhub \
 && useradd --uid 50000 --gid orderhub --create-home --shell /usr/sbin/nologin orderhub \
 && install -d -o orderhub -g orderhub /opt/airflow /opt/airflow/logs /opt/airflow/no-plugins /var/lib/orderhub
COPY --from=build /opt/orderhub /opt/orderhub
# The DAGs are the installed package, and Airflow's plugins folder stays empty: our plugin is an entry point of the package.
ENV PATH=/opt/orderhub/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    AIRFLOW_HOME=/opt/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/orderhub/lib/python3.11/site-packages/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/airflow/no-plugins \
    AIRFLOW__CORE__LOAD_EXAMPLES=False
USER orderhub
WORKDIR /opt/airflow
# No shell form: SIGTERM reaches Airflow itself.
ENTRYPOINT []
CMD ["airflow", "version"]
