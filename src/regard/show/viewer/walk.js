// The page of a walk: picks the site, the head and the query, and draws the six stages anew.

import { element } from "elements.js";
import { gateStages } from "gate.js";
import { unpackAll } from "packing.js";
import { Picker } from "picker.js";
import { greyscale } from "picture.js";
import { tokenStages } from "tokens.js";

const TITLES = [
  "Image to features",
  "Features to query, key and value",
  "Query and key to scores",
  "Scores to weights",
  "Weighted features",
  "Features to prediction",
];

const page = JSON.parse(document.getElementById("walk").textContent);
const state = { site: page.sites.length - 1, head: 0, query: 0, channel: 0 };
const sites = new Map();
const stages = [...document.querySelectorAll("[data-stage]")];

async function start() {
  page.image = document.getElementById("picture");
  await page.image.decode();
  page.grey = greyscale(page.image);
  page.ratio = page.image.naturalHeight / page.image.naturalWidth;
  page.overlay = true;
  if (!page.sites.length) return;
  page.picker = new Picker(page.image, (query) => change({ query }));
  document.getElementById("pick").replaceChildren(page.picker.node);
  document.getElementById("overlay").addEventListener("change", (event) => {
    page.overlay = event.target.checked;
    redraw();
  });
  selectors();
  await choose(state.site);
  document.body.dataset.ready = "true";
}

function selectors() {
  const select = document.getElementById("site");
  const options = page.sites.map((site, index) => element("option", { value: index }, site.name));
  select.replaceChildren(...options);
  select.value = state.site;
  select.closest("label").hidden = page.sites.length < 2;
  select.addEventListener("change", () => choose(Number(select.value)));
  document.getElementById("head").addEventListener("change", (event) => change({ head: Number(event.target.value) }));
}

// Arrays are unpacked when their site is first looked at.
async function choose(index) {
  if (!sites.has(index)) sites.set(index, await unpackAll(page.sites[index]));
  const site = sites.get(index);
  const select = document.getElementById("head");
  const heads = site.heads ?? [];
  select.replaceChildren(...heads.map((head, i) => element("option", { value: i }, head.name)));
  select.closest("label").hidden = heads.length < 2;
  const former = sites.get(state.site);
  const keep = former && former !== site && state.placed && sameGrid(former, site);
  change({ site: index, head: Math.min(state.head, Math.max(0, heads.length - 1)), channel: 0, query: keep ? state.query : site.start, placed: true });
}

function sameGrid(one, other) {
  return JSON.stringify(one.queryGrid ?? one.grid) === JSON.stringify(other.queryGrid ?? other.grid);
}

function change(update) {
  Object.assign(state, update);
  redraw();
}

function redraw() {
  const site = sites.get(state.site);
  document.getElementById("head").value = state.head;
  page.picker.show(site.queryGrid ?? site.grid, site.queries ?? site.shape[1] * site.shape[2], state.query);
  const drawn = (site.kind === "gate" ? gateStages : tokenStages)(page, site, state, change);
  stages.forEach((stage, index) => fill(stage, drawn[index], index));
}

// Redrawing must neither close what the reader opened nor take the focus away.
function fill(stage, content, index) {
  const buttons = () => [...stage.querySelectorAll("button, canvas[tabindex]")];
  const focused = buttons().indexOf(document.activeElement);
  const open = Boolean(stage.querySelector("details")?.open);
  const title = element("h2", { id: `stage-${index + 1}` }, element("span", { class: "step" }, String(index + 1)), TITLES[index]);
  stage.replaceChildren(title, ...content.flat().filter(Boolean));
  const details = stage.querySelector("details");
  if (details && open) details.open = true;
  if (focused >= 0) buttons()[focused]?.focus({ preventScroll: true });
}

start();
