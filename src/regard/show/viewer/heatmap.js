// A map over a picture in grey, as opaque as the map is strong (see show/blending.py).

import { scaleOf } from "colour.js";

const STEPS = 256;
const FINEST = 640;

// Red, green, blue and strength of the map, for each of 257 places on its scale.
export function tableOf(colours, kind) {
  const palette = colours[kind].map((hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));
  return Array.from({ length: STEPS + 1 }, (_, step) => {
    const place = (step / STEPS) * (palette.length - 1);
    const low = Math.min(Math.floor(place), palette.length - 2);
    const rgb = palette[low].map((value, c) => value + (place - low) * (palette[low + 1][c] - value));
    const at = step / STEPS;
    return [...rgb, kind === "positive" ? at : Math.abs(2 * at - 1)];
  });
}

// map: {values, rows, cols, scale, table}; options: {smooth, opacity, contour}.
// The layer that belongs over a picture of `width` by `height` canvas pixels.
export function layerOf(map, width, height, { smooth, opacity, contour }) {
  const shrink = Math.min(1, FINEST / Math.max(width, height));
  const layer = document.createElement("canvas");
  // Cells as they are need one pixel each, unless a line is drawn around them.
  layer.plain = !smooth && !contour;
  layer.width = layer.plain ? map.cols : Math.max(1, Math.round(width * shrink));
  layer.height = layer.plain ? map.rows : Math.max(1, Math.round(height * shrink));
  const field = (smooth ? bilinear : cells)(map, layer.width, layer.height);
  const context = layer.getContext("2d");
  const pixels = context.createImageData(layer.width, layer.height);
  const shades = new Uint8ClampedArray(map.table.flatMap(([r, g, b, strength]) => [r, g, b, 255 * opacity * strength]));
  const [drawn, known] = [new Uint32Array(pixels.data.buffer), new Uint32Array(shades.buffer)];
  const { at } = scaleOf(map.scale);
  for (let i = 0; i < field.length; i++) drawn[i] = known[Math.round(at(field[i]) * STEPS)];
  if (contour) outline(pixels, field, map);
  context.putImageData(pixels, 0, 0);
  return layer;
}

export function show(canvas, beneath, layer) {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingEnabled = beneath.width >= canvas.width / 4;
  context.drawImage(beneath, 0, 0, canvas.width, canvas.height);
  context.imageSmoothingEnabled = !layer.plain;
  context.drawImage(layer, 0, 0, canvas.width, canvas.height);
}

// A line around the box or region that is explained: a path in pixels of the picture, or null.
export function around(canvas, beneath, path) {
  if (!path) return;
  const context = canvas.getContext("2d");
  context.save();
  const [across, down] = [canvas.width / beneath.width, canvas.height / beneath.height];
  const line = new Path2D();
  line.addPath(new Path2D(path), new DOMMatrix([across, 0, 0, down, 0, 0]));
  const thick = Math.max(1, Math.round(canvas.width / 160));
  context.lineCap = "square";
  for (const [width, colour] of [[thick + 2, "#000"], [thick, "#ffd84d"]]) {
    Object.assign(context, { lineWidth: width, strokeStyle: colour });
    context.stroke(line);
  }
  context.restore();
}

// Where the largest value, by its size, is.
export function strongestCell({ values }) {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (Math.abs(values[i]) > Math.abs(values[best])) best = i;
  return best;
}

function cells({ values, rows, cols }, width, height) {
  const field = new Float32Array(width * height);
  for (let y = 0; y < height; y++) {
    const row = Math.floor((y * rows) / height) * cols;
    for (let x = 0; x < width; x++) field[y * width + x] = values[row + Math.floor((x * cols) / width)];
  }
  return field;
}

function bilinear({ values, rows, cols }, width, height) {
  const field = new Float32Array(width * height);
  const across = Array.from({ length: width }, (_, x) => between(x, width, cols));
  for (let y = 0; y < height; y++) {
    const [top, bottom, down] = between(y, height, rows);
    for (let x = 0; x < width; x++) {
      const [left, right, share] = across[x];
      const upper = values[top * cols + left] * (1 - share) + values[top * cols + right] * share;
      const lower = values[bottom * cols + left] * (1 - share) + values[bottom * cols + right] * share;
      field[y * width + x] = upper * (1 - down) + lower * down;
    }
  }
  return field;
}

// The two cells whose centres a pixel lies between, and how far it is from the first.
function between(pixel, pixels, count) {
  const place = Math.min(count - 1, Math.max(0, ((pixel + 0.5) * count) / pixels - 0.5));
  const first = Math.min(Math.floor(place), Math.max(0, count - 2));
  return [first, Math.min(first + 1, count - 1), place - first];
}

// A white line with a black rim around what is at least half of the largest value.
function outline(pixels, field, map) {
  const { width, height } = pixels;
  const level = Math.abs(map.values[strongestCell(map)]) / 2;
  if (!level) return;
  for (const sign of map.scale.kind === "signed" ? [1, -1] : [1]) {
    const inside = (x, y) => sign * field[Math.min(height - 1, Math.max(0, y)) * width + Math.min(width - 1, Math.max(0, x))] >= level;
    const thick = Math.max(1, Math.round(width / 300));
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const here = inside(x, y);
        const differs = (by) => inside(x - by, y) !== here || inside(x + by, y) !== here || inside(x, y - by) !== here || inside(x, y + by) !== here;
        const shade = here && differs(thick) ? 255 : differs(here ? 2 * thick : thick) ? 0 : null;
        if (shade !== null) pixels.data.set([shade, shade, shade, 255], 4 * (y * width + x));
      }
    }
  }
}
