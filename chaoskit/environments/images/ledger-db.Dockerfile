# The bank's database: PostgreSQL 18 and etcd from the same packages that child processes use, under Patroni.
# No LLVM is in it, and the build leaves out what a server does not need.
ARG BASE
FROM ${BASE}
COPY postgresql /opt/postgresql
COPY etcd patroni /usr/local/bin/
COPY site /opt/chaoskit
RUN python3 -m compileall -q /opt/chaoskit
# A relocated PostgreSQL must not find another libpq.
ENV LD_LIBRARY_PATH=/opt/postgresql/lib
