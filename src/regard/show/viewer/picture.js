// Maps drawn cell by cell, on their own or over the picture.

import { colourAt } from "colour.js";
import { element } from "elements.js";

// Where tokens without a place on the input are drawn: in reading order, nearly square.
export function layout(grid, tokens) {
  if (grid) return grid;
  const cols = Math.ceil(Math.sqrt(tokens));
  return { rows: Math.ceil(tokens / cols), cols, prefix: 0, placed: false };
}

export function tokenName(grid, token) {
  if (!grid || grid.placed === false) return `token ${token + 1}`;
  if (token < grid.prefix) return grid.prefix === 1 ? "class token" : `prefix token ${token + 1}`;
  const cell = token - grid.prefix;
  return `row ${Math.floor(cell / grid.cols) + 1}, column ${(cell % grid.cols) + 1}`;
}

// A canvas of one map. options: width (CSS pixels), ratio (height / width, the cells' own by
// default), colour (cell => CSS colour), marks ([{cell, kind}]), beneath (a picture), opacity,
// label, pick (cell => …), describe (cell => text).
export function map(grid, options) {
  const { width, label, pick, describe } = options;
  const height = Math.round(width * (options.ratio ?? grid.rows / grid.cols));
  const ratio = Math.max(1, Math.min(3, window.devicePixelRatio || 1));
  const canvas = element("canvas", { role: "img", "aria-label": label, class: pick ? "pickable" : null });
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.aspectRatio = `${width} / ${height}`;
  canvas.style.maxWidth = `${width}px`;
  draw(canvas, grid, options);
  if (pick) canvas.addEventListener("click", (event) => pick(cellAt(canvas, grid, event)));
  if (describe) {
    canvas.addEventListener("pointermove", (event) => {
      canvas.title = describe(cellAt(canvas, grid, event));
    });
  }
  return canvas;
}

export function cellAt(canvas, grid, event) {
  const box = canvas.getBoundingClientRect();
  const row = Math.floor(((event.clientY - box.top) / box.height) * grid.rows);
  const col = Math.floor(((event.clientX - box.left) / box.width) * grid.cols);
  const inside = (value, count) => Math.min(count - 1, Math.max(0, value));
  return inside(row, grid.rows) * grid.cols + inside(col, grid.cols);
}

export function draw(canvas, grid, { colour, marks = [], beneath = null, opacity = 1 }) {
  const context = canvas.getContext("2d");
  const { width, height } = canvas;
  context.clearRect(0, 0, width, height);
  context.imageSmoothingEnabled = false;
  if (beneath) context.drawImage(beneath, 0, 0, width, height);
  if (colour) {
    context.globalAlpha = beneath ? opacity : 1;
    eachCell(grid, width, height, (cell, x, y, w, h) => {
      const value = colour(cell);
      if (value === null) return;
      context.fillStyle = value;
      context.fillRect(x, y, w, h);
    });
    context.globalAlpha = 1;
  }
  for (const { cell, kind } of marks) mark(canvas, grid, cell, kind);
}

// The query has a solid frame, the most attended key a dashed one.
export function mark(canvas, grid, cell, kind) {
  const context = canvas.getContext("2d");
  const [x, y, w, h] = box(grid, cell, canvas.width, canvas.height);
  const thick = Math.max(1, Math.round(canvas.width / 110));
  const grow = Math.max(0, 4 * thick - w) / 2;
  const frame = [x - grow, y - grow, w + 2 * grow, h + 2 * grow];
  context.setLineDash([]);
  context.lineWidth = thick + 2;
  context.strokeStyle = "#000";
  context.strokeRect(...frame);
  context.lineWidth = thick;
  context.strokeStyle = "#fff";
  if (kind === "key") context.setLineDash([thick * 2, thick * 1.5]);
  context.strokeRect(...frame);
  context.setLineDash([]);
}

export function gridLines(canvas, grid) {
  const context = canvas.getContext("2d");
  const { width, height } = canvas;
  if (width / grid.cols < 10) return;
  context.lineWidth = 1;
  for (const [shade, shift] of [["rgba(0,0,0,.35)", 0.5], ["rgba(255,255,255,.35)", 1.5]]) {
    context.strokeStyle = shade;
    context.beginPath();
    for (let col = 1; col < grid.cols; col++) {
      const x = Math.round((col * width) / grid.cols) + shift;
      context.moveTo(x, 0);
      context.lineTo(x, height);
    }
    for (let row = 1; row < grid.rows; row++) {
      const y = Math.round((row * height) / grid.rows) + shift;
      context.moveTo(0, y);
      context.lineTo(width, y);
    }
    context.stroke();
  }
}

export function colours(palette, scale, values) {
  return (cell) => (cell < values.length ? colourAt(palette, scale, values[cell]) : null);
}

export function rgbColours(bytes) {
  return (cell) => `rgb(${bytes[3 * cell]},${bytes[3 * cell + 1]},${bytes[3 * cell + 2]})`;
}

export function greyscale(image) {
  const canvas = document.createElement("canvas");
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
  for (let i = 0; i < pixels.data.length; i += 4) {
    const [red, green, blue] = pixels.data.subarray(i, i + 3);
    pixels.data.fill(0.299 * red + 0.587 * green + 0.114 * blue, i, i + 3);
  }
  context.putImageData(pixels, 0, 0);
  return canvas;
}

function eachCell(grid, width, height, visit) {
  for (let cell = 0; cell < grid.rows * grid.cols; cell++) visit(cell, ...box(grid, cell, width, height));
}

function box(grid, cell, width, height) {
  const row = Math.floor(cell / grid.cols);
  const col = cell % grid.cols;
  const x = Math.round((col * width) / grid.cols);
  const y = Math.round((row * height) / grid.rows);
  return [x, y, Math.round(((col + 1) * width) / grid.cols) - x, Math.round(((row + 1) * height) / grid.rows) - y];
}
