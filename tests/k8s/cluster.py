"""A Kubernetes of one's own, without machines: etcd, kube-apiserver and kube-controller-manager, and a kubelet that runs nothing.

Addresses of services are loopback addresses (`--service-cluster-ip-range`), so that a process that listens on its service's address is
called by the API server as a pod would be, by the service's name and with TLS for it. Each cluster has a /24 of 127/8 for itself, and so
fixed ports.
"""

import contextlib
import json
import random
import secrets
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import httpx
import trustme

from tests.k8s.api import Api, Refused, eventually
from tests.k8s.apiserver import APISERVER, CONTROLLERS, ETCD, program
from tests.k8s.kubelet import Kubelet

# Who may do what is said by the roles that every cluster has.
_USERS = {"admin": "system:masters", "system:kube-controller-manager": ""}
# Without those that would look at nodes: ours has no heart that beats.
_CONTROLLERS = "*,-node-lifecycle-controller,-taint-eviction-controller,-node-ipam-controller"
_LOCK, _ETCD, _PEERS, _SECURE, _CONTROLLER = 6440, 2379, 2380, 6443, 10257


class Cluster:
    """A running cluster. Its user is allowed everything; `as_account` is somebody who is not."""

    def __init__(self, folder: Path, network: str) -> None:
        self.folder = folder
        self.network = network
        """The first three numbers of its services' addresses, like `127.80.7`."""
        self.url = f"https://{network}.1:{_SECURE}"
        self.authority = folder / "ca.pem"
        self._tokens = {user: secrets.token_hex(16) for user in _USERS}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._kubelet: Kubelet | None = None
        self._clients = contextlib.ExitStack()
        self.api: Api

    @property
    def kubeconfig(self) -> Path:
        """A file for clients such as Helm, which may do everything."""
        return self.folder / "admin.yaml"

    def client(self) -> Api:
        """Another client that may do everything, for another thread."""
        return Api(self.url, self.authority, self._tokens["admin"])

    def kubeconfig_of(self, account: str, namespace: str = "default") -> Path:
        """A file for a client that is a service account."""
        return self._write_kubeconfig(f"{namespace}.{account}.yaml", self.api.token(account, namespace), namespace)

    def as_account(self, account: str, namespace: str = "default") -> Api:
        """The client of a service account."""
        return Api(self.url, self.authority, self.api.token(account, namespace))

    def namespace(self, name: str, labels: Mapping[str, str] | None = None) -> str:
        """Makes one, and waits until pods can be made in it."""
        self.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": dict(labels or {})}})
        eventually(lambda: self.api.find("v1/ServiceAccount", "default", name))
        return name

    def start(self) -> None:
        """Starts all, and waits until pods can be made."""
        self._write_secrets()
        self._spawn(ETCD, self._etcd())
        self._spawn(APISERVER, self._apiserver())
        self.api = self._clients.enter_context(self.client())
        self._wait(self._ready)
        self._spawn(CONTROLLERS, self._controllers())
        self._kubelet = Kubelet(self._clients.enter_context(self.client()))
        self._kubelet.start()
        self._wait(lambda: self.api.find("v1/ServiceAccount", "default"))

    def stop(self) -> None:
        """Ends all, with nothing left but the folder."""
        if self._kubelet is not None:
            self._kubelet.stop()
        self._clients.close()
        for process in self._processes.values():
            process.kill()
            process.wait(30)

    def log(self, name: str) -> str:
        """What one of the programs has written."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def _ready(self) -> bool:
        try:
            return bool(self.api.call("GET", "/readyz"))
        except (httpx.TransportError, Refused):
            return False

    def _wait(self, look: Callable[[], object]) -> None:
        def looked() -> object:
            for name, process in self._processes.items():
                if process.poll() is not None:
                    raise RuntimeError(f"{name} ended with {process.returncode}: {self.log(name)[-2000:]}")
            return look()

        eventually(looked, 120)

    def _spawn(self, name: str, options: Mapping[str, object]) -> None:
        # No `preexec_fn`: Helm's Go runtime, in this process, may have threads that do not survive a fork.
        guard = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        command = [*guard, program(name), *(f"--{option}={value}" for option, value in options.items())]
        with (self.folder / f"{name}.log").open("wb") as log:
            self._processes[name] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, start_new_session=True
            )

    def _write_secrets(self) -> None:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.authority)
        served = authority.issue_cert(f"{self.network}.1", "kubernetes.default.svc")
        served.private_key_and_cert_chain_pem.write_to_path(self.folder / "apiserver.pem")
        # The key that signs the tokens of service accounts.
        authority.issue_cert("accounts").private_key_pem.write_to_path(self.folder / "accounts.pem")
        tokens = [f'{token},{user},{user},"{_USERS[user]}"\n' for user, token in self._tokens.items()]
        (self.folder / "tokens.csv").write_text("".join(tokens))
        self._write_kubeconfig("admin.yaml", self._tokens["admin"])
        self._write_kubeconfig("controllers.yaml", self._tokens["system:kube-controller-manager"])

    def _write_kubeconfig(self, name: str, token: str, namespace: str = "default") -> Path:
        context = {"cluster": "tests", "user": "tests", "namespace": namespace}
        written = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "tests", "cluster": {"server": self.url, "certificate-authority": str(self.authority)}}],
            "users": [{"name": "tests", "user": {"token": token}}],
            "contexts": [{"name": "tests", "context": context}],
            "current-context": "tests",
        }
        path = self.folder / name
        # JSON is YAML.
        path.write_text(json.dumps(written))
        return path

    def _etcd(self) -> dict[str, object]:
        clients, peers = f"http://{self.network}.1:{_ETCD}", f"http://{self.network}.1:{_PEERS}"
        return {
            "data-dir": self.folder / "etcd",
            "listen-client-urls": clients,
            "advertise-client-urls": clients,
            "listen-peer-urls": peers,
            "initial-advertise-peer-urls": peers,
            "initial-cluster": f"default={peers}",
            "unsafe-no-fsync": "true",
            "log-level": "warn",
        }

    def _apiserver(self) -> dict[str, object]:
        return {
            "etcd-servers": f"http://{self.network}.1:{_ETCD}",
            "bind-address": f"{self.network}.1",
            "secure-port": _SECURE,
            # The service `kubernetes` has no endpoints: a loopback address is none that it takes.
            "endpoint-reconciler-type": "none",
            "tls-cert-file": self.folder / "apiserver.pem",
            "tls-private-key-file": self.folder / "apiserver.pem",
            "cert-dir": self.folder,
            "token-auth-file": self.folder / "tokens.csv",
            "authorization-mode": "Node,RBAC",
            "service-cluster-ip-range": f"{self.network}.0/24",
            "service-account-issuer": "https://kubernetes.default.svc",
            "service-account-key-file": self.folder / "accounts.pem",
            "service-account-signing-key-file": self.folder / "accounts.pem",
        }

    def _controllers(self) -> dict[str, object]:
        return {
            "kubeconfig": self.folder / "controllers.yaml",
            "bind-address": f"{self.network}.1",
            "secure-port": _CONTROLLER,
            "cert-dir": self.folder,
            "controllers": _CONTROLLERS,
            "use-service-account-credentials": "true",
            "service-account-private-key-file": self.folder / "accounts.pem",
            "root-ca-file": self.authority,
            "leader-elect": "false",
        }


@contextlib.contextmanager
def running_cluster(folder: Path) -> Iterator[Cluster]:
    """A cluster for one test, or for all, with its files in `folder`."""
    with _network() as network:
        cluster = Cluster(folder, network)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()


@contextlib.contextmanager
def _network() -> Iterator[str]:
    """A /24 of the loopback network that nobody else has: whoever has it holds a port of its last address."""
    with socket.socket() as lock:
        while True:
            network = f"127.{random.randrange(64, 128)}.{random.randrange(256)}"
            with contextlib.suppress(OSError):
                lock.bind((f"{network}.254", _LOCK))
                break
        yield network
