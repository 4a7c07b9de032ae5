"""Arrays inside a page: 16-bit floats, bytes or byte steps, compressed, in base64."""

import base64
import math
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray


def pack(values: NDArray[Any]) -> dict[str, Any]:
    """Pack an array for `viewer/packing.js`.

    uint8 stays as it is. Everything else becomes a 16-bit float (11 significant bits) times a
    power of two that is common to the array, so that neither end of its range is lost. The low
    and the high bytes are stored apart, which compresses a fifth better.
    """
    if values.dtype == np.uint8:
        return _packed("u8", values.shape, values.tobytes(), 0)
    exponent = _exponent(values)
    halves = np.ldexp(values.astype(np.float64), -exponent).astype("<f2")
    planes = np.ascontiguousarray(halves).reshape(-1).view(np.uint8).reshape(-1, 2).T
    return _packed("f16", values.shape, np.ascontiguousarray(planes).tobytes(), exponent)


def pack_coarsely(values: NDArray[np.floating]) -> dict[str, Any]:
    """Pack finite numbers in 8 bits each, by steps that are finer the nearer to 0.

    The steps are even in the square root of the size: no value is off by more than 0.4 % of the
    largest (0.8 % where there are values on both sides of 0), and small ones by far less.
    """
    peak = float(np.abs(values).max(initial=0.0)) or 1.0
    roots = np.sign(values) * np.sqrt(np.abs(values, dtype=np.float64) / peak)
    if values.size and values.min() < 0:
        steps = np.round(127 + 127 * roots).astype(np.uint8)
        return _packed("signed", values.shape, steps.tobytes(), 0) | {"peak": peak}
    steps = np.round(255 * roots).astype(np.uint8)
    return _packed("positive", values.shape, steps.tobytes(), 0) | {"peak": peak}


def pack_channels(values: NDArray[np.floating]) -> dict[str, Any]:
    """Pack finite vectors, (token, channel), in 8 bits a number: 127 steps a side, channel-wise.

    Each channel has its own largest value, and no number is off by more than 0.4 % of it.
    """
    peaks = np.abs(values).max(0, initial=0.0).astype(np.float32)
    steps = np.round(127 + 127 * values / np.where(peaks > 0, peaks, 1)).astype(np.uint8)
    shown = [float(f"{peak:.6g}") for peak in peaks]
    return _packed("channels", values.shape, steps.tobytes(), 0) | {"peaks": shown}


def unpack(packed: dict[str, Any]) -> NDArray[Any]:
    """Undo `pack`, as the page does."""
    raw = np.frombuffer(zlib.decompress(base64.b64decode(packed["data"])), np.uint8)
    if packed["kind"] == "u8":
        return raw.reshape(packed["shape"])
    if packed["kind"] == "channels":
        steps = raw.astype(np.float64).reshape(packed["shape"])
        return (steps - 127) / 127 * np.array(packed["peaks"])
    if packed["kind"] in ("positive", "signed"):
        steps = raw.astype(np.float64).reshape(packed["shape"])
        roots = steps / 255 if packed["kind"] == "positive" else (steps - 127) / 127
        return packed["peak"] * roots * np.abs(roots)
    halves = np.ascontiguousarray(raw.reshape(2, -1).T).reshape(-1).view("<f2")
    return np.ldexp(halves.astype(np.float64), packed["exponent"]).reshape(packed["shape"])


def _packed(kind: str, shape: tuple[int, ...], raw: bytes, exponent: int) -> dict[str, Any]:
    data = base64.b64encode(zlib.compress(raw, 9)).decode("ascii")
    return {"kind": kind, "shape": list(shape), "exponent": exponent, "data": data}


def _exponent(values: NDArray[Any]) -> int:
    """Return the power of two that brings the largest finite value under 2**15."""
    finite = np.abs(values[np.isfinite(values)])
    largest = float(finite.max()) if finite.size else 0.0
    return math.frexp(largest)[1] - 15 if largest > 0 else 0
