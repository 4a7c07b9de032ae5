// A map that is read with mouse, finger or arrow keys: one cell is marked, and its value is told.

import { element } from "elements.js";
import { around, layerOf, show } from "heatmap.js";
import { stepped } from "picker.js";
import { cellAt, mark } from "picture.js";

// Maps of more columns than this are walked in larger steps.
const MOST_STEPS = 40;

// pick(cell) is called when another cell is pointed at.
export class MapView {
  constructor(id, pick) {
    this.pick = pick;
    this.canvas = element("canvas", { id, tabindex: "0", role: "application", class: "pickable", "aria-describedby": `${id}-readout` });
    this.readout = element("output", { id: `${id}-readout`, class: "readout", "aria-live": "polite" });
    const point = (event) => this.to(cellAt(this.canvas, this.grid, event));
    this.canvas.addEventListener("pointerdown", point);
    this.canvas.addEventListener("pointermove", point);
    this.canvas.addEventListener("keydown", (event) => {
      const by = Math.ceil(this.grid.cols / MOST_STEPS);
      const cell = stepped(this.grid, Math.max(0, this.cell), event, by);
      if (cell !== null) this.to(cell);
    });
  }

  // grid: the cells that can be picked; beneath: the picture in grey; label: for screen readers;
  // outline: around what is explained, as a path in pixels of the picture, or null.
  set(grid, beneath, label, outline = null) {
    this.grid = grid;
    this.outline = outline;
    this.beneath = beneath;
    this.canvas.setAttribute("aria-label", label);
    const width = Math.round(Math.min(1120, 560 * Math.max(1, window.devicePixelRatio || 1)));
    this.canvas.width = width;
    this.canvas.height = Math.round((width * beneath.height) / beneath.width);
  }

  draw(map, options) {
    this.layer = layerOf(map, this.canvas.width, this.canvas.height, options);
  }

  // cell: the marked one, or a negative number for none.
  update(cell, text) {
    this.cell = cell;
    show(this.canvas, this.beneath, this.layer);
    around(this.canvas, this.beneath, this.outline);
    if (cell >= 0) mark(this.canvas, this.grid, cell, "query");
    this.readout.textContent = text;
  }

  to(cell) {
    if (cell !== this.cell) this.pick(cell);
  }
}
