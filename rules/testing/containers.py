"""Containers of a test, and what a runtime tells of them."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace
from typing import Any

from tiercel.rules.document import Element, Mapping, Scalar
from tiercel.rules.testing.form import Form

ENGINES = {"docker": 0, "cri": 6, "containerd": 7, "cri-o": 8, "podman": 11}
ID = re.compile(r"[0-9a-f]{12,64}")
FLAGS = ("privileged", "host_pid", "host_network", "host_ipc")
KEYS = ("id", "name", "image", "image_id", "engine", "labels", "mounts", "user", "ip", "pod_labels", *FLAGS)
MOUNT = ("source", "destination", "mode", "rw", "propagation")


@dataclass(frozen=True, slots=True)
class Container:
    """`told` is the JSON that a runtime tells, empty where none was asked."""

    id: str
    told: str = ""
    privileged: bool = False

    @property
    def full_id(self) -> str:
        """All 64 digits."""
        return self.id + hashlib.sha256(self.id.encode()).hexdigest()[: 64 - len(self.id)]

    @property
    def short_id(self) -> str:
        return self.id[:12]

    def cgroups(self) -> list[str]:
        return [f"{name}=/docker/{self.full_id}" for name in ("cpuset", "memory")]


def read(form: Form, element: Element) -> Container:
    """A container: a mapping, or its id, or a name for a container and its image."""
    if isinstance(element, Scalar):
        if ID.fullmatch(element.text):
            return Container(element.text)
        return _told(_id(element.text), {"name": element.text, **_image(element.text)})
    node = form.mapping(element, "a container", KEYS)
    text = {key: form.text(node.items[key], key) for key in ("id", "name", "image", "image_id", "engine", "user", "ip")
            if key in node.items}  # fmt: skip
    name = text.get("id", _id(text.get("name") or text.get("image", "")))
    if not ID.fullmatch(name):
        raise form.error(f"a container's id has 12 to 64 digits of 0-9a-f, not {name!r}", node.items["id"])
    engine = text.get("engine", "docker")
    if engine not in ENGINES:
        raise form.unknown("container engine", engine, ENGINES, node.items["engine"])
    flags = {key: form.flag(node.items[key], key) for key in FLAGS if key in node.items}
    if not set(node.items) - {"id"}:
        return Container(name)
    facts: dict[str, Any] = {"type": ENGINES[engine], "name": text.get("name", ""), **_image(text.get("image", ""))}
    facts |= {"User": text.get("user", ""), "ip": text.get("ip", ""), **flags}
    facts |= {"imageid": text["image_id"]} if "image_id" in text else {}
    for key, told in (("labels", "labels"), ("pod_labels", "pod_sandbox_labels")):
        if key in node.items:
            labels = form.mapping(node.items[key], key)
            facts[told] = {label: form.text(value, label) for label, value in labels.items.items()}
    if "mounts" in node.items:
        facts["Mounts"] = [_mount(form, mount) for mount in form.items(node.items["mounts"], "mounts")]
    return replace(_told(name, facts), privileged=flags.get("privileged", False))


def _told(name: str, facts: dict[str, Any]) -> Container:
    container = Container(name)
    facts = {"type": 0, "id": container.short_id, "full_id": container.full_id, **facts}
    return replace(container, told=json.dumps({"container": facts}, sort_keys=True))


def _mount(form: Form, element: Element) -> dict[str, Any]:
    """A mount: `/source:/destination[:ro]`, or its parts."""
    if isinstance(element, Scalar):
        source, _, rest = element.text.partition(":")
        destination, _, mode = rest.partition(":")
        return {"Source": source, "Destination": destination, "Mode": mode, "RW": "ro" not in mode.split(","),
                "Propagation": "rprivate"}  # fmt: skip
    node: Mapping = form.mapping(element, "a mount", MOUNT)
    text = {key: form.text(value, key) for key, value in node.items.items() if key != "rw"}
    writable = form.flag(node.items["rw"], "rw") if "rw" in node.items else True
    names = {"source": "Source", "destination": "Destination", "mode": "Mode", "propagation": "Propagation"}
    return {"RW": writable} | {names[key]: value for key, value in text.items()}


def _id(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:12]


def _image(name: str) -> dict[str, str]:
    rest, _, digest = name.partition("@")
    head, slash, last = rest.rpartition("/")
    last, _, tag = last.partition(":")
    if not tag and not digest and name:
        tag = "latest"
    return {"image": name, "imagerepo": head + slash + last, "imagetag": tag, "imagedigest": digest}
