// The page of explanations: menus made of what is there, one map to read, its prediction, and rows.

import { colourBar, scaleOf } from "colour.js";
import { element, number, percent } from "elements.js";
import { layerOf, show, strongestCell, tableOf } from "heatmap.js";
import { MapView } from "map_view.js";
import { unpack } from "packing.js";
import { greyscale } from "picture.js";
import { attentionRows } from "rows.js";

const page = JSON.parse(document.getElementById("report").textContent);
const at = (id) => document.getElementById(id);
const text = {
  image: (found) => page.pictures[found.picture].name,
  method: (found) => found.method,
  target: (found) => found.target,
  site: (found) => siteName(found.site),
};
// Each menu offers what goes with the choices in the menus before it.
const MENUS = ["image", "method", "target", "site"];
const TILES = 24;
const state = { index: 0, smooth: true, contour: false, opacity: page.strongest };
const view = new MapView("map", (cell) => tell(cell));

async function start() {
  at("view").replaceChildren(view.canvas, view.readout);
  for (const menu of MENUS) at(menu).addEventListener("change", (event) => choose(menu, event.target.value));
  at("opacity").value = Math.round(100 * state.opacity);
  at("opacity").addEventListener("input", (event) => redraw({ opacity: event.target.value / 100 }));
  at("smooth").addEventListener("change", (event) => redraw({ smooth: event.target.checked }));
  at("contour").addEventListener("change", (event) => redraw({ contour: event.target.checked }));
  await open(0);
  if (page.attention?.sites.length) await attentionRows(at("rows"), page.attention, page.colours, page.pictures[0].grey);
  document.body.dataset.ready = "true";
}

// Keeps what was chosen in the other menus, as far as that exists.
function choose(menu, value) {
  const now = page.explanations[state.index];
  const place = MENUS.indexOf(menu);
  const wanted = MENUS.map((name, i) => (i === place ? value : text[name](now)));
  const agreed = (found) => MENUS.findIndex((name, i) => i > place && text[name](found) !== wanted[i]);
  const fits = page.explanations.filter((found) => MENUS.every((name, i) => i > place || text[name](found) === wanted[i]));
  const score = (found) => (agreed(found) < 0 ? MENUS.length : agreed(found));
  const best = fits.reduce((top, found) => (score(found) > score(top) ? found : top));
  open(page.explanations.indexOf(best));
}

// Pictures and maps are unpacked when they are first looked at.
async function load(index) {
  const found = page.explanations[index];
  const picture = page.pictures[found.picture];
  if (!picture.grey) {
    picture.image = Object.assign(new Image(), { src: picture.uri });
    await picture.image.decode();
    picture.grey = greyscale(picture.image);
  }
  if (!found.map) {
    const { shape, values } = await unpack(found.values);
    found.map = { values, rows: shape[0], cols: shape[1], scale: found.scale, table: tableOf(page.colours, found.scale.kind) };
  }
  return found;
}

async function open(index) {
  state.index = index;
  const found = await load(index);
  if (state.index !== index) return;
  menus(found);
  heading(found);
  facts(found);
  view.set({ rows: found.map.rows, cols: found.map.cols, prefix: 0 }, page.pictures[found.picture].grey, `Map of ${found.method} for ${found.target}, ${found.map.rows} by ${found.map.cols} cells. Arrow keys move over it.`);
  at("bar").replaceChildren(colourBar(page.colours, scaleOf(found.scale), found.unit));
  view.draw(found.map, state);
  tell(strongestCell(found.map), "strongest: ");
  await tiles(found);
}

function redraw(change) {
  Object.assign(state, change);
  view.draw(page.explanations[state.index].map, state);
  view.update(view.cell, view.readout.textContent);
}

function tell(cell, before = "") {
  const { map, kind } = page.explanations[state.index];
  const where = `row ${Math.floor(cell / map.cols) + 1}, column ${(cell % map.cols) + 1}`;
  const unit = kind === "distribution" ? "× uniform" : kind === "signed" ? ` (${against(map.values[cell])})` : "";
  view.update(cell, `${before}${where}: ${number(map.values[cell], 2)}${unit}`);
}

const against = (value) => (value > 0 ? "for the target" : value < 0 ? "against it" : "neither for nor against");

function menus(now) {
  MENUS.forEach((menu, place) => {
    const fits = page.explanations.filter((found) => MENUS.every((name, i) => i >= place || text[name](found) === text[name](now)));
    const names = [...new Set(fits.map(text[menu]))];
    const select = at(menu);
    select.replaceChildren(...names.map((name) => element("option", { value: name }, name)));
    select.value = text[menu](now);
    select.closest("label").hidden = names.length < 2;
  });
}

function heading(found) {
  const [best] = found.prediction;
  at("title").replaceChildren(best ? best.label : found.model, " ", element("small", {}, best ? percent(best.probability) : "no class head"));
  at("asked").textContent = `${found.method} for “${found.target}”`;
  at("verdict").textContent = found.verdict ?? "not checked";
  at("verdict").classList.toggle("unchecked", found.verdict === null);
}

function facts(found) {
  const rows = found.prediction.map(({ label, probability }) => {
    const fill = element("div", { class: "fill on" });
    fill.style.width = `${100 * probability}%`;
    return element("div", { class: "probability", role: "row" },
      element("div", { class: "class", role: "rowheader", title: label }, label),
      element("div", { role: "cell" }, element("div", { class: "track" }, fill, element("span", { class: "value" }, percent(probability)))));
  });
  at("prediction").replaceChildren(...rows);
  at("prediction").parentElement.hidden = !rows.length;
  const lines = [
    ["Model", found.model],
    ["Site", siteName(found.site)],
    ["Made from", `${found.provenance} tensors`],
    ["Map", `${found.map.rows} × ${found.map.cols} cells`],
    ...found.chosen.map((line, i) => [i ? "" : "Chosen automatically", line]),
  ];
  at("facts").replaceChildren(...lines.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
}

function siteName(site) {
  if (!site.length) return "input and output only";
  return site.length > 1 ? `${site[0]} and ${site.length - 1} more` : site[0];
}

// The other maps of the same picture, small: a click shows one.
async function tiles(now) {
  const same = page.explanations.filter((found) => found.picture === now.picture).slice(0, TILES);
  const whole = at("tiles").closest("section");
  whole.hidden = same.length < 2;
  if (whole.hidden) return;
  await Promise.all(same.map((found) => load(page.explanations.indexOf(found))));
  if (page.explanations[state.index] !== now) return;
  const focused = [...at("tiles").children].indexOf(document.activeElement);
  at("tiles").replaceChildren(...same.map((found) => tile(found, found === now)));
  if (focused >= 0) at("tiles").children[focused]?.focus({ preventScroll: true });
}

function tile(found, chosen) {
  const { grey } = page.pictures[found.picture];
  const canvas = element("canvas", { "aria-hidden": "true" });
  canvas.width = 224;
  canvas.height = Math.round((224 * grey.height) / grey.width);
  show(canvas, grey, layerOf(found.map, canvas.width, canvas.height, { smooth: true, opacity: page.strongest, contour: false }));
  const name = element("span", { class: "tile-label" }, element("strong", {}, found.method), " for ", found.target);
  return element("button", { type: "button", class: "tile", "aria-pressed": chosen, onclick: () => open(page.explanations.indexOf(found)) }, canvas, name);
}

start();
