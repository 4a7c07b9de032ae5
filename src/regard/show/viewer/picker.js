// The picture with the queries' cells: pick one with mouse, finger or arrow keys.

import { element } from "elements.js";
import { cellAt, draw, gridLines, layout, map, mark, tokenName } from "picture.js";

const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

// The cell that an arrow key leads to; null for any other key. by: how many cells a press.
export function stepped({ rows, cols }, cell, event, by = 1) {
  const move = STEPS[event.key];
  if (!move) return null;
  event.preventDefault();
  const inside = (value, count) => Math.min(count - 1, Math.max(0, value));
  const row = inside(Math.floor(cell / cols) + by * move[0], rows);
  const col = inside((cell % cols) + by * move[1], cols);
  return row * cols + col;
}

// site: {grid, tokens}; choose(token) is called with the new query.
export class Picker {
  constructor(image, choose) {
    this.image = image;
    this.choose = choose;
    this.holder = element("div", { class: "picker" });
    this.prefix = element("div", { class: "prefix", role: "group", "aria-label": "Tokens without a place on the image" });
    this.readout = element("output", { class: "readout", "aria-live": "polite" });
    this.node = element("div", {}, this.holder, this.prefix, this.readout);
  }

  show(grid, tokens, query) {
    this.grid = layout(grid, tokens);
    this.placed = grid;
    this.tokens = tokens;
    if (this.canvas?.cells !== this.grid) this.build();
    this.update(query);
  }

  build() {
    const { grid, image } = this;
    const beneath = this.placed ? image : null;
    this.options = { width: this.placed ? 360 : 120, beneath, colour: this.placed ? null : () => "#8883", ratio: this.placed ? image.naturalHeight / image.naturalWidth : null };
    this.canvas = map(grid, { ...this.options, label: "" });
    this.canvas.cells = grid;
    this.canvas.tabIndex = 0;
    this.canvas.id = "picker";
    this.canvas.classList.add("pickable");
    this.canvas.setAttribute("role", "application");
    this.canvas.setAttribute("aria-label", "Query position on the image. Arrow keys move it, one cell a press.");
    this.canvas.addEventListener("pointerdown", (event) => this.drag(event));
    this.canvas.addEventListener("pointermove", (event) => event.buttons && this.drag(event));
    this.canvas.addEventListener("keydown", (event) => this.step(event));
    this.holder.replaceChildren(...(this.placed ? [] : [image]), this.canvas);
    const prefix = Array.from({ length: grid.prefix }, (_, token) =>
      element("button", { type: "button", onclick: () => this.choose(token) }, tokenName(grid, token)));
    this.prefix.replaceChildren(...prefix);
  }

  drag(event) {
    this.pick(this.grid.prefix + cellAt(this.canvas, this.grid, event));
  }

  pick(token) {
    if (token !== this.query && token < this.tokens) this.choose(token);
  }

  step(event) {
    const { prefix } = this.grid;
    const cell = stepped(this.grid, Math.max(0, this.query - prefix), event);
    if (cell !== null) this.pick(prefix + cell);
  }

  update(query) {
    this.query = query;
    const { grid } = this;
    const cell = query - grid.prefix;
    draw(this.canvas, grid, this.options);
    gridLines(this.canvas, grid);
    if (cell >= 0) mark(this.canvas, grid, cell, "query");
    [...this.prefix.children].forEach((button, token) => button.setAttribute("aria-pressed", token === query));
    this.readout.textContent = `Query: ${tokenName(grid, query)}`;
  }
}
