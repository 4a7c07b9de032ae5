// Where a patch attends: point at it, and its row of attention is laid over the picture.

import { weightsOf } from "attention.js";
import { colourBar, scaleOf, timesUniform } from "colour.js";
import { element, number, percent } from "elements.js";
import { tableOf } from "heatmap.js";
import { MapView } from "map_view.js";
import { unpackAll } from "packing.js";
import { tokenName } from "picture.js";

const OPTIONS = { smooth: false, opacity: 0.85, contour: false };

// attention: {sites, leftOut} of show/attention_rows.py; grey: the picture.
export async function attentionRows(section, attention, colours, grey) {
  const at = (name) => section.querySelector(`[data-rows="${name}"]`);
  const state = { site: attention.sites.length - 1, head: 0, query: 0 };
  const table = tableOf(colours, "uniform");
  const sites = new Map();
  let site;
  const view = new MapView("rows-map", (cell) => update(cell + site.queryGrid.prefix));
  const prefix = element("div", { class: "prefix", role: "group", "aria-label": "Tokens without a place on the image" });

  async function choose(index) {
    if (!sites.has(index)) sites.set(index, await unpackAll(attention.sites[index]));
    state.site = index;
    site = sites.get(index);
    site.whole = site.heads.length === site.totalHeads && site.heads.length > 1;
    const names = [...(site.whole ? ["mean of the heads"] : []), ...site.heads.map((head) => head.name)];
    at("head").replaceChildren(...names.map((name, i) => element("option", { value: i - (site.whole ? 1 : 0) }, name)));
    state.head = Math.max(site.whole ? -1 : 0, Math.min(state.head, site.heads.length - 1));
    at("head").value = state.head;
    at("head").closest("label").hidden = names.length < 2;
    view.set(site.queryGrid, grey, `Where a patch of ${site.name} attends. Arrow keys pick the patch.`);
    const buttons = Array.from({ length: site.queryGrid.prefix }, (_, token) =>
      element("button", { type: "button", onclick: () => update(token) }, tokenName(site.queryGrid, token)));
    prefix.replaceChildren(...buttons);
    const scale = { kind: "uniform", peak: site.peak, ticks: timesUniform(site.peak).ticks };
    at("bar").replaceChildren(colourBar(colours, scaleOf(scale), "attention, times uniform"));
    const deviation = Math.max(...site.heads.map((head) => head.deviation ?? 0));
    at("note").textContent = deviation ? `Made in this page from the model’s queries and keys, ${site.bits} bits a number: weights differ from the model’s by at most ${percent(deviation)} of a row’s largest.` : "The model’s weights, in 8 bits.";
    site.scaled = scale;
    update(state.query < site.queries ? state.query : site.start);
  }

  function row(query) {
    const heads = state.head < 0 ? site.heads : [site.heads[state.head]];
    const mean = new Float64Array(site.keys);
    for (const head of heads) weightsOf(site, head, query).forEach((weight, key) => (mean[key] += (weight * site.keys) / heads.length));
    return mean;
  }

  function update(query) {
    state.query = query;
    const { queryGrid, keyGrid } = site;
    const weights = row(query);
    const values = weights.subarray(keyGrid.prefix);
    view.draw({ values, rows: keyGrid.rows, cols: keyGrid.cols, scale: site.scaled, table }, OPTIONS);
    const best = weights.reduce((top, weight, key) => (weight > weights[top] ? key : top), 0);
    const onImage = values.reduce((sum, weight) => sum + weight, 0) / site.keys;
    const rest = keyGrid.prefix ? `; ${percent(onImage)} of it lies on the image` : "";
    view.update(query - queryGrid.prefix, `${tokenName(queryGrid, query)} attends most to ${tokenName(keyGrid, best)}: ${number(weights[best], 2)}× uniform${rest}`);
    [...prefix.children].forEach((button, token) => button.setAttribute("aria-pressed", token === query));
  }

  at("site").replaceChildren(...attention.sites.map((found, i) => element("option", { value: i }, found.name)));
  at("site").value = state.site;
  at("site").closest("label").hidden = attention.sites.length < 2;
  at("site").addEventListener("change", (event) => choose(Number(event.target.value)));
  at("head").addEventListener("change", (event) => {
    state.head = Number(event.target.value);
    update(state.query);
  });
  at("view").replaceChildren(view.canvas, prefix, view.readout);
  section.hidden = false;
  state.head = -1;
  state.query = Infinity;
  await choose(state.site);
}
