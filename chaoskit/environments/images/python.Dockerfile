# What every image of ours that runs Python begins with. The only step of all images that needs a network.
FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/cache/debconf/*-old /var/log/*.log /var/log/apt /usr/share/doc /usr/share/man \
    /usr/lib/python3*/test /usr/lib/python3*/idlelib /usr/lib/python3*/lib2to3 /usr/lib/python3*/pydoc_data
# Services keep what must outlive them here; database nodes are not root.
RUN install -d -m 1777 /var/lib/chaoskit
ENV PYTHONPATH=/opt/chaoskit PYTHONUNBUFFERED=1 PYTHONFAULTHANDLER=1
