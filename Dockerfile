# meshproxy without root rights:
#
#   docker build -t meshproxy:0.1.0 .
#   docker run -p 127.0.0.1:4140:4140 meshproxy:0.1.0
#
# The configuration is /etc/meshproxy/config.yaml; conf/kubernetes mounts another one there. Without
# 127.0.0.1 in front, Docker publishes the port on every address of the machine, past most firewalls;
# conf/egress.yaml says what that means.

# The official images are built with profile-guided optimisation, which a request notices more than
# any compiler of ours; 3.11 is the cheapest of the Pythons that meshproxy runs on (docs/adr/0009).
FROM python:3.11-slim AS build
COPY setup.py pyproject.toml README.md /src/
COPY conf /src/conf
COPY meshproxy /src/meshproxy
RUN python -m venv /opt/meshproxy && /opt/meshproxy/bin/pip install --no-cache-dir /src

FROM python:3.11-slim
COPY --from=build /opt/meshproxy /opt/meshproxy
COPY conf/egress.yaml /etc/meshproxy/config.yaml
# The loopback address of a container is its own, so the servers of the routers listen on all.
RUN sed -i 's/^    ip: 127\.0\.0\.1$/    ip: 0.0.0.0/' /etc/meshproxy/config.yaml
USER 65532:65532
EXPOSE 4140 4141
# Asks the admin server where this configuration has it, on loopback inside the container.
HEALTHCHECK --interval=10s --timeout=3s CMD ["/opt/meshproxy/bin/python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:9990/live', timeout=2)"]
# The exec form: meshproxy is process 1, gets the signals itself, and starts no children to reap.
ENTRYPOINT ["/opt/meshproxy/bin/meshproxy"]
CMD ["/etc/meshproxy/config.yaml"]
