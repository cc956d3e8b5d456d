"""Containers as plain processes: a pod's command, with its volumes as folders.

Its mount paths are rewritten to these folders, and it has its own environment only. Images,
cgroups, users and seccomp of real containers are not there.
"""

import base64
import contextlib
import datetime as dt
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

JsonObject = dict[str, Any]
Data = Callable[[str, str], Mapping[str, str]]
"""Returns what is in a Secret or ConfigMap, by the plural of its kind and its name."""


@dataclass(frozen=True)
class Container:
    """A pod's process and its folder."""

    process: subprocess.Popen[bytes]
    folder: Path

    @classmethod
    def start(cls, pod: JsonObject, folder: Path, data: Data) -> "Container":
        """Lay out the volumes of a pod's one container and start its command."""
        [spec] = pod["spec"]["containers"]
        places = _lay_out(pod, spec, folder, data)
        env = {each["name"]: places.get(each["value"], each["value"]) for each in spec["env"]}
        with (folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [places.get(word, word) for word in (*spec["command"], *spec["args"])],
                env={
                    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                    "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
                    "HOME": str(folder),
                    **env,
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                start_new_session=True,
            )
        return cls(process, folder)

    def kill(self, grace: float) -> None:
        """End it, politely at first where there is a time of grace, and take its volumes away."""
        if grace:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(grace)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        shutil.rmtree(self.folder / "root")

    def ended(self, *, evicted: bool = False) -> JsonObject:
        """Return the container's status after its end, with what it left as last words."""
        code = self.process.returncode
        state = {
            "exitCode": code if code >= 0 else 128 - code,
            "reason": "Error" if code else "Completed",
            "message": "" if evicted else (self.folder / "last-words").read_text(),
            "finishedAt": now(),
        }
        return {"state": {"terminated": state}}


def _lay_out(pod: JsonObject, spec: JsonObject, folder: Path, data: Data) -> dict[str, str]:
    """Make the volumes' folders; return where each path of the container is here."""
    root = folder / "root"
    volumes = {each["name"]: each for each in pod["spec"]["volumes"]}
    places = {spec["terminationMessagePath"]: str(folder / "last-words")}
    for mount in spec["volumeMounts"]:
        path = Path(mount["mountPath"])
        place = root / path.relative_to("/")
        place.mkdir(parents=True)
        volume = volumes[mount["name"]]
        if claim := volume.get("persistentVolumeClaim"):
            place.rmdir()
            place.symlink_to(folder.parent / "volumes" / claim["claimName"])
        for name, content in _files(volume, pod, data).items():
            (place / name).write_bytes(content)
        places |= {str(each): str(root / each.relative_to("/")) for each in (path, path.parent)}
    (folder / "last-words").touch()
    return places


def _files(volume: JsonObject, pod: JsonObject, data: Data) -> dict[str, bytes]:
    if "secret" in volume:
        source = volume["secret"]
        found = data("secrets", source["secretName"])
        texts = {key: base64.b64decode(value) for key, value in found.items()}
    elif "configMap" in volume:
        source = volume["configMap"]
        texts = {key: text.encode() for key, text in data("configmaps", source["name"]).items()}
    elif "downwardAPI" in volume:
        [item] = volume["downwardAPI"]["items"]
        key = item["fieldRef"]["fieldPath"].split("'")[1]
        return {item["path"]: pod["metadata"]["annotations"][key].encode()}
    else:
        return {}
    items = source.get("items") or [{"key": key, "path": key} for key in texts]
    return {item["path"]: texts[item["key"]] for item in items}


def now() -> str:
    """Return the present as Kubernetes writes it."""
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
