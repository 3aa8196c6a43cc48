"""The messages of namerd's mesh interface as Google's own library makes and reads them."""

import base64
import tempfile
from functools import cache
from ipaddress import ip_address
from pathlib import Path as File
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from grpc_tools import protoc

from meshproxy.naming.path import Path

HERE = File(__file__).parent
PACKAGE = "io.linkerd.mesh"


@cache
def _pool() -> descriptor_pool.DescriptorPool:
    with tempfile.NamedTemporaryFile() as compiled:
        if protoc.main(["protoc", f"-I{HERE}", f"-o{compiled.name}", str(HERE / "mesh.proto")]):
            raise RuntimeError("mesh.proto does not compile")
        found = descriptor_pb2.FileDescriptorSet.FromString(File(compiled.name).read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for each in found.file:
        pool.Add(each)
    return pool


@cache
def message(name: str) -> Any:
    """Return the class of the message of that name."""
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"{PACKAGE}.{name}"))


def write(name: str, said: dict[str, Any]) -> bytes:
    """Return the message that JSON describes; bytes are base64 there, see `path`."""
    wire: bytes = json_format.ParseDict(said, message(name)()).SerializeToString()
    return wire


def read(name: str, wire: bytes) -> dict[str, Any]:
    """Return what a message says, as JSON."""
    said: dict[str, Any] = json_format.MessageToDict(
        message(name).FromString(wire), preserving_proto_field_name=True
    )
    return said


def path(text: str) -> dict[str, Any]:
    """Return a Path."""
    return {"elems": [base64.b64encode(segment).decode() for segment in Path.parse(text)]}


def leaf(bound_id: str, residual: str = "/") -> dict[str, Any]:
    """Return the tree of one bound name."""
    return {"leaf": {"id": path(bound_id), "residual": path(residual)}}


def alt(*trees: dict[str, Any]) -> dict[str, Any]:
    """Return alternatives."""
    return {"alt": {"trees": list(trees)}}


def union(*members: tuple[float, dict[str, Any]]) -> dict[str, Any]:
    """Return a weighted union."""
    return {"union": {"trees": [{"weight": weight, "tree": tree} for weight, tree in members]}}


def bound(*endpoints: tuple[str, int], **metadata: str) -> dict[str, Any]:
    """Return the Replicas of these hosts and ports."""
    found = []
    for host, port in endpoints:
        address = ip_address(host)
        family = "INET4" if address.version == 4 else "INET6"
        packed = base64.b64encode(address.packed).decode()
        found.append({"inet_af": family, "address": packed, "port": port})
    return {"bound": {"endpoints": found, "metadata": metadata}}
