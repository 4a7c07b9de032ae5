// Arrays as the page carries them: compressed 16-bit floats, bytes or byte steps (see show/packing.py).

export async function unpack(packed) {
  if (!packed) return null;
  const bytes = Uint8Array.from(atob(packed.data), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const raw = new Uint8Array(await new Response(stream).arrayBuffer());
  if (packed.kind === "u8") return { shape: packed.shape, values: raw };
  if (packed.kind === "channels") {
    const peaks = packed.peaks;
    const values = Float32Array.from(raw, (step, i) => ((step - 127) / 127) * peaks[i % peaks.length]);
    return { shape: packed.shape, values };
  }
  if (packed.kind !== "f16") {
    const [zero, unit] = packed.kind === "signed" ? [127, 127] : [0, 255];
    const root = (step) => (step - zero) / unit;
    const values = Float32Array.from(raw, (step) => packed.peak * root(step) * Math.abs(root(step)));
    return { shape: packed.shape, values };
  }
  const count = raw.length / 2;
  const values = new Float32Array(count);
  const factor = 2 ** packed.exponent;
  for (let i = 0; i < count; i++) values[i] = half(raw[i] | (raw[count + i] << 8)) * factor;
  return { shape: packed.shape, values };
}

// Unpacks every packed array inside plain data; everything else stays as it is.
export async function unpackAll(data) {
  if (data === null || typeof data !== "object") return data;
  if (typeof data.data === "string" && Array.isArray(data.shape)) return unpack(data);
  if (Array.isArray(data)) return Promise.all(data.map(unpackAll));
  const entries = Object.entries(data).map(async ([key, value]) => [key, await unpackAll(value)]);
  return Object.fromEntries(await Promise.all(entries));
}

// The slice at `index` along the first axis.
export function part(array, index) {
  const size = array.values.length / array.shape[0];
  return array.values.subarray(index * size, (index + 1) * size);
}

function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * 2 ** -14 * (fraction / 1024);
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * 2 ** (exponent - 15) * (1 + fraction / 1024);
}
