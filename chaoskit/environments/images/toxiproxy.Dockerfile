# Toxiproxy alone, as Go built it without cgo.
FROM scratch
COPY toxiproxy-server /toxiproxy-server
ENTRYPOINT ["/toxiproxy-server"]
