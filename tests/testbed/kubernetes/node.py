"""Plays what our control plane lacks for a Job: its controller, the scheduler, one node's kubelet.

The real API server keeps, checks and hands out every object, admission and RBAC included, and asks
this node for a pod's log as it asks any kubelet, over TLS. What is only played is what lies behind:
the Job's controller (one pod, no retries, the deadline, deletion of dependents) and the container,
see :mod:`testbed.kubernetes.containers`.
"""

import contextlib
import datetime as dt
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import requests
import yaml

from testbed.kubernetes import certificates
from testbed.kubernetes.cluster import Cluster
from testbed.kubernetes.containers import Container, JsonObject, now

LOOK_SECONDS = 0.2
GRACE_SECONDS = 30.0
_PATCH = "application/merge-patch+json"


@dataclass
class Node:
    """One node for the Jobs of one namespace, on a control plane of our own.

    Attributes:
        folder: For the pods' files.
    """

    cluster: Cluster
    namespace: str
    folder: Path
    _containers: dict[str, Container] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _stopping: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Register the node, serve its logs, and begin to run Jobs."""
        self.folder.mkdir(parents=True)
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy of the environment is not for loopback
        pki = self.cluster.folder / "pki"
        self._session.verify = str(pki / "ca.crt")
        self._session.cert = (str(pki / "admin.crt"), str(pki / "admin.key"))
        [cluster] = yaml.safe_load(self.cluster.kubeconfig.read_text())["clusters"]
        self._server_url = cluster["cluster"]["server"]
        certificates.Authority.new().issue_server(self.folder / "kubelet")
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self.folder))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "kubelet.crt", self.folder / "kubelet.key")
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._register()
        self._threads = [
            threading.Thread(target=self._server.serve_forever, daemon=True),
            threading.Thread(target=self._run, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End every container and the node."""
        self._stopping.set()
        self._server.shutdown()
        for thread in self._threads:
            thread.join()
        self._server.server_close()
        for container in self._containers.values():
            container.kill(grace=0)
        self._ask("DELETE", f"/api/v1/nodes/{self._name}")

    def jobs(self) -> list[JsonObject]:
        """Return the namespace's Jobs."""
        items: list[JsonObject] = self._ask("GET", self._jobs)["items"]
        return items

    def pods(self) -> list[JsonObject]:
        """Return the namespace's pods."""
        items: list[JsonObject] = self._ask("GET", self._pods)["items"]
        return items

    def logs(self) -> str:
        """Return what all containers of this node have written, ended ones as well."""
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("*/log")))

    def evict(self) -> None:
        """Evict the running pod as a kubelet does whose node is low on memory: at once."""
        with self._lock:
            [(name, container)] = self._containers.items()
            del self._containers[name]
            container.kill(grace=0)
            message = "The node was low on resource: memory."
            status = {"phase": "Failed", "reason": "Evicted", "message": message}
            self._set_pod(name, status, container.ended(evicted=True))

    def lose(self) -> None:
        """Lose the running pod as with a node that is taken out of the cluster."""
        with self._lock:
            [(name, container)] = self._containers.items()
            del self._containers[name]
            container.kill(grace=0)
            self._remove(name)

    @property
    def _name(self) -> str:
        return f"node-{self.namespace}"

    @property
    def _jobs(self) -> str:
        return f"/apis/batch/v1/namespaces/{self.namespace}/jobs"

    @property
    def _pods(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods"

    def _register(self) -> None:
        port = self._server.server_address[1]
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": self._name}}
        self._ask("POST", "/api/v1/nodes", node)
        status = {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        }
        self._set_status(f"/api/v1/nodes/{self._name}", status)
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
        self._ask("POST", f"/api/v1/namespaces/{self.namespace}/serviceaccounts", account)

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            # The API server may be away, or an object gone meanwhile: the next look is soon.
            with contextlib.suppress(requests.RequestException), self._lock:
                self._look()

    def _look(self) -> None:
        """Do what controllers would do next with each Job, and with pods that lost theirs."""
        jobs = self.jobs()
        pods = {pod["metadata"]["ownerReferences"][0]["uid"]: pod for pod in self.pods()}
        for job in jobs:
            pod = pods.pop(job["metadata"]["uid"], None)
            if "deletionTimestamp" in job["metadata"] or not _rests(job):
                self._control(job, pod)
        for pod in pods.values():
            self._remove(pod["metadata"]["name"])

    def _control(self, job: JsonObject, pod: JsonObject | None) -> None:
        status = job.get("status", {})
        name = pod["metadata"]["name"] if pod else None
        if "deletionTimestamp" in job["metadata"]:
            if name:
                self._remove(name)
            self._ask(
                "PATCH", self._path(job), {"metadata": {"finalizers": None}}, content_type=_PATCH
            )
        elif name is None or pod is None:
            if "startTime" in status:
                self._finish(job, "BackoffLimitExceeded")
            else:
                self._begin(job)
        elif pod["status"]["phase"] == "Failed":
            self._finish(job, "BackoffLimitExceeded")
        elif pod["status"]["phase"] == "Succeeded":
            self._finish(job, "")
        elif _age(status["startTime"]) > job["spec"]["activeDeadlineSeconds"]:
            self._remove(name)
            self._finish(job, "DeadlineExceeded")
        elif name in self._containers:
            self._observe(name)

    def _begin(self, job: JsonObject) -> None:
        """Make the Job's pod, and start it."""
        template, metadata = job["spec"]["template"], job["metadata"]
        owner = {"apiVersion": "batch/v1", "kind": "Job", "controller": True}
        owner |= {key: metadata[key] for key in ("name", "uid")}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                **template["metadata"],
                "generateName": f"{metadata['name']}-",
                "ownerReferences": [owner],
            },
            "spec": {**template["spec"], "nodeName": self._name},
        }
        made = self._ask("POST", self._pods, pod)
        self._set_status(self._path(job), {"startTime": now(), "active": 1, "ready": 0})
        name = made["metadata"]["name"]
        self._containers[name] = Container.start(made, self.folder / name, self._data)
        running = {"state": {"running": {"startedAt": now()}}, "ready": True, "started": True}
        self._set_pod(name, {"phase": "Running", "startTime": now()}, running)

    def _data(self, kind: str, name: str) -> Mapping[str, str]:
        path = f"/api/v1/namespaces/{self.namespace}/{kind}/{name}"
        data: dict[str, str] = self._ask("GET", path)["data"]
        return data

    def _observe(self, name: str) -> None:
        """Report the end of a container, if it has come."""
        container = self._containers[name]
        code = container.process.poll()
        if code is not None:
            del self._containers[name]
            container.kill(grace=0)
            self._set_pod(name, {"phase": "Failed" if code else "Succeeded"}, container.ended())

    def _remove(self, name: str) -> None:
        """Stop a pod politely and delete it."""
        container = self._containers.pop(name, None)
        if container is not None:
            container.kill(GRACE_SECONDS)
        self._ask("DELETE", f"{self._pods}/{name}", {"gracePeriodSeconds": 0})

    def _finish(self, job: JsonObject, failure: str) -> None:
        """Give a Job its last conditions, as the API server demands them."""
        kinds = ("FailureTarget", "Failed") if failure else ("SuccessCriteriaMet", "Complete")
        moment = {"lastTransitionTime": now(), "lastProbeTime": now()}
        why = {"reason": failure, "message": f"{failure}, said by the test bed's node"}
        conditions = [{"type": kind, "status": "True", **why, **moment} for kind in kinds]
        counts = {"failed": 1} if failure else {"succeeded": 1, "completionTime": now()}
        self._set_status(
            self._path(job), {"active": 0, "ready": 0, **counts, "conditions": conditions}
        )

    def _path(self, job: JsonObject) -> str:
        return f"{self._jobs}/{job['metadata']['name']}"

    def _set_pod(self, name: str, status: JsonObject, container: JsonObject) -> None:
        shown = {"name": "transfer", "image": "i", "imageID": "", "ready": False, "restartCount": 0}
        body = {**status, "containerStatuses": [{**shown, **container}]}
        self._set_status(f"{self._pods}/{name}", body)

    def _set_status(self, path: str, status: JsonObject) -> None:
        self._ask("PATCH", f"{path}/status", {"status": status}, content_type=_PATCH)

    def _ask(
        self,
        method: str,
        path: str,
        body: JsonObject | None = None,
        content_type: str = "application/json",
    ) -> JsonObject:
        """Ask the API server.

        Raises:
            requests.RequestException: It refuses, or does not answer.
        """
        answer = self._session.request(
            method,
            self._server_url + path,
            json=body,
            headers={"Content-Type": content_type},
            timeout=30,
        )
        if not answer.ok:
            raise requests.HTTPError(f"{method} {path}: {answer.text}", response=answer)
        result: JsonObject = answer.json()
        return result


def _handler(folder: Path) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """The kubelet's ``/containerLogs/{namespace}/{pod}/{container}``."""

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            pod = url.path.split("/")[3]
            lines = (folder / pod / "log").read_bytes().splitlines(keepends=True)
            tail = parse_qs(url.query).get("tailLines", ["0"])[0]
            body = b"".join(lines[-int(tail) :])
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its base's name
            """Keep quiet."""

    return Handler


def _rests(job: JsonObject) -> bool:
    """Return whether a Job has ended, or is not to begin."""
    conditions = {each["type"] for each in job.get("status", {}).get("conditions", [])}
    return bool(conditions & {"Complete", "Failed"}) or job["spec"].get("suspend") is True


def _age(moment: str) -> float:
    return time.time() - dt.datetime.fromisoformat(moment).timestamp()
