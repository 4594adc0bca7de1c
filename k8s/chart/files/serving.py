# `helm test` runs this in each use's own image: `serving.py USE HOST PORT`. It exits with 0 when the use answers, within half a minute.
import http.client
import socket
import ssl
import sys
import time


def ask(use, host, port):
    """What it answers; raises `OSError` or `HTTPException` where it does not."""
    if use == "extproc":
        # Its health port speaks gRPC: that somebody takes connections there is what its readiness probe has let through.
        socket.create_connection((host, port), timeout=5).close()
        return "connected"
    if use == "injector":
        # Whether its certificate is the one that the API server expects is the API server's to check.
        connection = http.client.HTTPSConnection(host, port, timeout=5, context=ssl._create_unverified_context())
        path = "/readyz"
    else:
        # Without a key, which is refused by the gate: so Envoy and a worker are both there.
        connection = http.client.HTTPConnection(host, port, timeout=5)
        path = "/v1/models"
    connection.request("GET", path)
    return connection.getresponse().status


def main():
    use, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    wanted = {"edge": (200, 401), "extproc": ("connected",), "injector": (200,)}[use]
    until = time.monotonic() + 30
    while True:
        try:
            answer = ask(use, host, port)
        except (OSError, http.client.HTTPException) as error:
            answer = error
        print(f"{use} at {host}:{port}: {answer}", flush=True)
        if answer in wanted:
            return 0
        if time.monotonic() > until:
            return 1
        time.sleep(1)


sys.exit(main())
