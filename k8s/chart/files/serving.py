# `helm test` runs this in the image of the release: `serving.py http|https|tcp HOST PORT PATH`. It exits with 0 when that answers, within half
# a minute. Nobody here has a caller's key: 401 is an answer, and one for which Envoy and a worker both have to be there.
import http.client
import socket
import ssl
import sys
import time


def ask(speaks, host, port, path):
    """What it answers; raises `OSError` or `HTTPException` where it does not."""
    if speaks == "tcp":
        socket.create_connection((host, port), timeout=5).close()
        return "connected"
    if speaks == "https":
        # Whose certificate it is, is for callers and the API server to check.
        context = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection(host, port, timeout=5, context=context)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=5)
    connection.request("GET", path)
    return connection.getresponse().status


def main(speaks, host, port, path):
    until = time.monotonic() + 30
    while True:
        try:
            answer = ask(speaks, host, int(port), path)
        except (OSError, http.client.HTTPException) as error:
            answer = error
        print(f"{host}:{port}: {answer}", flush=True)
        if answer in ("connected", 200, 401):
            return 0
        if time.monotonic() > until:
            return 1
        time.sleep(1)


sys.exit(main(*sys.argv[1:]))
