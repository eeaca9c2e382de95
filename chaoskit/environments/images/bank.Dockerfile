# The bank's services: Debian's Python, and what the services import.
ARG BASE
FROM ${BASE}
COPY site /opt/chaoskit
# Compiled once here, or every container would do it at every start.
RUN python3 -m compileall -q /opt/chaoskit
# Last, since it is what changes.
COPY chaoskit /opt/chaoskit/chaoskit
RUN python3 -m compileall -q /opt/chaoskit/chaoskit
