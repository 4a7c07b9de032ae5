"""A Ray cluster: several machines that work as one."""

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from regard.core.errors import InputError
from regard.core.packages import require


@contextmanager
def cluster(address: str) -> Iterator[Any]:
    """Join a cluster, yield the package `ray`, and leave the cluster, also after an exception.

    Args:
        address: as `ray.init` takes it; `local` for this machine alone.

    Raises:
        InputError: the cluster cannot be reached.
        MissingPackage: `ray` is not installed.

    """
    ray = require("ray", extra="cluster")
    _knock(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
        raise _no_cluster(address, error) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Try HOST:PORT; Ray itself asks for minutes where nobody answers."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal() or "/" in host:
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, error) from error


def _no_cluster(address: str, error: BaseException) -> InputError:
    return InputError(
        f"no Ray cluster answers at {address!r} ({' '.join(str(error).split())}); give HOST:PORT "
        "as `ray start --head` prints it, or local for this machine alone"
    )
