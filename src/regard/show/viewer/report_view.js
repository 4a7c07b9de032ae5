// The view of explanations: menus made of what is there, one map to read, its prediction, and rows.

import { colourBar, scaleOf } from "colour.js";
import { breakable, element, number, percent } from "elements.js";
import { around, layerOf, show, strongestCell, tableOf } from "heatmap.js";
import { MapView } from "map_view.js";
import { unpack } from "packing.js";
import { greyscale } from "picture.js";
import { attentionRows } from "rows.js";
import { badge, measurements } from "verdict.js";

// Each menu offers what goes with the choices in the menus before it.
const MENUS = ["image", "method", "target", "site"];
const TILES = 24;

export class ReportView {
  // root: the document or shadow root that holds the elements of report_view.html.j2; page: what
  // show/report_data.py made; chosen(index, cell) is called when another map or cell is shown.
  constructor(root, page, chosen = () => {}) {
    this.root = root;
    this.page = page;
    this.chosen = chosen;
    this.text = {
      image: (found) => page.pictures[found.picture].name,
      method: (found) => found.method,
      target: (found) => found.target,
      site: (found) => found.siteName,
    };
    this.options = { smooth: true, contour: false, opacity: page.strongest };
    this.view = new MapView("map", (cell) => this.index === this.asked.index && this.tell(cell));
  }

  at(id) {
    return this.root.getElementById(id);
  }

  // What is shown; what was asked for may still be on its way.
  get found() {
    return this.page.explanations[this.index];
  }

  // index, cell: what is shown first; without a cell, the strongest.
  async start(index = 0, cell = null) {
    const { page, view } = this;
    this.at("view").replaceChildren(view.canvas, view.readout);
    for (const menu of MENUS) this.at(menu).addEventListener("change", (event) => this.choose(menu, event.target.value));
    this.at("opacity").value = Math.round(100 * this.options.opacity);
    this.at("opacity").addEventListener("input", (event) => this.redraw({ opacity: event.target.value / 100 }));
    this.at("smooth").addEventListener("change", (event) => this.redraw({ smooth: event.target.checked }));
    this.at("contour").addEventListener("change", (event) => this.redraw({ contour: event.target.checked }));
    await this.open(index, cell);
    if (page.attention?.sites.length) await attentionRows(this.at("rows"), page.attention, page.colours, page.pictures[0].grey);
  }

  // Keeps what was chosen in the other menus, as far as that exists (see also show/explanation_widget.py).
  choose(menu, value) {
    const { text, found: now } = this;
    const place = MENUS.indexOf(menu);
    const wanted = MENUS.map((name, i) => (i === place ? value : text[name](now)));
    const agreed = (found) => MENUS.findIndex((name, i) => i > place && text[name](found) !== wanted[i]);
    const fits = this.page.explanations.filter((found) => MENUS.every((name, i) => i > place || text[name](found) === wanted[i]));
    const score = (found) => (agreed(found) < 0 ? MENUS.length : agreed(found));
    const best = fits.reduce((top, found) => (score(found) > score(top) ? found : top));
    this.open(this.page.explanations.indexOf(best));
  }

  // Pictures and maps are unpacked when they are first looked at.
  async load(index) {
    const found = this.page.explanations[index];
    const picture = this.page.pictures[found.picture];
    if (!picture.grey) {
      const image = Object.assign(new Image(), { src: picture.uri });
      await image.decode();
      picture.grey = greyscale(image);
    }
    if (!found.map) {
      const { shape, values } = await unpack(found.values);
      found.map = { values, rows: shape[0], cols: shape[1], scale: found.scale, table: tableOf(this.page.colours, found.scale.kind) };
      found.map.strongest = strongestCell(found.map);
    }
    return found;
  }

  async open(index, cell = null) {
    const asked = (this.asked = { index });
    const found = await this.load(index);
    if (this.asked !== asked) return;
    this.index = index;
    const { map } = found;
    this.menus(found);
    this.heading(found);
    this.facts(found);
    this.view.set({ rows: map.rows, cols: map.cols, prefix: 0 }, this.page.pictures[found.picture].grey, `Map of ${found.method} for ${found.target}, ${map.rows} by ${map.cols} cells. Arrow keys move over it.`, found.outline);
    this.at("bar").replaceChildren(colourBar(this.page.colours, scaleOf(found.scale), found.unit));
    this.view.draw(map, this.options);
    this.tell(cell ?? map.strongest);
    await this.tiles(found);
  }

  redraw(change) {
    Object.assign(this.options, change);
    this.view.draw(this.found.map, this.options);
    this.view.update(this.view.cell, this.view.readout.textContent);
  }

  tell(cell) {
    const { map, kind } = this.found;
    const [row, col] = [Math.floor(cell / map.cols), cell % map.cols];
    const before = cell === map.strongest ? "strongest: " : "";
    const unit = kind === "distribution" ? "× uniform" : kind === "signed" ? ` (${against(map.values[cell])})` : "";
    this.view.update(cell, `${before}row ${row + 1}, column ${col + 1}: ${number(map.values[cell], 2)}${unit}`);
    this.chosen(this.index, cell);
  }

  menus(now) {
    const { text } = this;
    MENUS.forEach((menu, place) => {
      const fits = this.page.explanations.filter((found) => MENUS.every((name, i) => i >= place || text[name](found) === text[name](now)));
      const names = [...new Set(fits.map(text[menu]))];
      const select = this.at(menu);
      select.replaceChildren(...names.map((name) => element("option", { value: name }, name)));
      select.value = text[menu](now);
      select.closest("label").hidden = names.length < 2;
    });
  }

  heading(found) {
    const [best] = found.prediction;
    this.at("title").replaceChildren(best ? best.label : found.model, " ", element("small", {}, best ? percent(best.probability) : "no class head"));
    this.at("asked").textContent = `${found.method} for “${found.target}”`;
    this.at("verdict").replaceChildren(badge(this.page.marks, found.verdict));
    this.at("reason").textContent = found.verdict?.reason ?? "";
    this.at("how").hidden = found.verdict === null;
    this.at("measured").replaceChildren(...(found.verdict ? measurements(found.verdict) : []));
  }

  facts(found) {
    const rows = found.prediction.map(({ label, probability }) => {
      const fill = element("div", { class: "fill on" });
      fill.style.width = `${100 * probability}%`;
      return element("div", { class: "probability", role: "row" },
        element("div", { class: "class", role: "rowheader", title: label }, label),
        element("div", { role: "cell" }, element("div", { class: "track" }, fill, element("span", { class: "value" }, percent(probability)))));
    });
    this.at("prediction").replaceChildren(...rows);
    this.at("prediction").parentElement.hidden = !rows.length;
    const lines = [
      ["Model", ...breakable(found.model)],
      ["Site", ...breakable(found.siteName)],
      ["Made from", `${found.provenance} tensors`],
      ["Map", `${found.map.rows} × ${found.map.cols} cells`],
      ...found.chosen.map((line, i) => [i ? "" : "Chosen automatically", line]),
    ];
    this.at("facts").replaceChildren(...lines.flatMap(([name, ...value]) => [element("dt", {}, name), element("dd", {}, ...value)]));
  }

  // The other maps of the same picture, small: a click shows one.
  async tiles(now) {
    const { explanations } = this.page;
    const same = explanations.filter((found) => found.picture === now.picture).slice(0, TILES);
    const tiles = this.at("tiles");
    const whole = tiles.closest("section");
    whole.hidden = same.length < 2;
    if (whole.hidden) return;
    await Promise.all(same.map((found) => this.load(explanations.indexOf(found))));
    if (this.found !== now) return;
    const focused = [...tiles.children].indexOf(this.root.activeElement);
    tiles.replaceChildren(...same.map((found) => this.tile(found, found === now)));
    if (focused >= 0) tiles.children[focused]?.focus({ preventScroll: true });
  }

  tile(found, pressed) {
    const { explanations, marks, pictures, strongest } = this.page;
    const { grey } = pictures[found.picture];
    const canvas = element("canvas", { "aria-hidden": "true" });
    canvas.width = 224;
    canvas.height = Math.round((224 * grey.height) / grey.width);
    show(canvas, grey, layerOf(found.map, canvas.width, canvas.height, { smooth: true, opacity: strongest, contour: false }));
    around(canvas, grey, found.outline);
    const name = element("span", { class: "tile-label" }, element("strong", {}, ...breakable(found.method)), " for ", found.target);
    return element("button", { type: "button", class: "tile", "aria-pressed": pressed, onclick: () => this.open(explanations.indexOf(found)) }, canvas, name, badge(marks, found.verdict));
  }
}

const against = (value) => (value > 0 ? "for the target" : value < 0 ? "against it" : "neither for nor against");
