// The six stages of a site where features are multiplied in place by a gate.

import { colourAt, colourBar, positive, signed, timesUniform, upTo } from "colour.js";
import { element, formula, listing, m, mi, mn, mo, mtext, number, sub } from "elements.js";
import { part } from "packing.js";
import { layout } from "picture.js";
import { beforeAndAfter, featureStage, figure, figures, maps, note, predictionStage, sentence } from "sections.js";

const SIGMA = {
  sigmoid: (s) => [m("mfrac", m("mn", "1"), m("mrow", m("mn", "1"), mo("+"), m("msup", mi("e"), m("mrow", mo("−"), s))))],
  relu: (s) => [mi("max"), mo("("), m("mn", "0"), mo(","), s, mo(")")],
  tanh: (s) => [mi("tanh"), mo("("), s, mo(")")],
  "hard sigmoid": (s) => [mi("clip"), mo("("), m("mfrac", s, m("mn", "6")), mo("+"), m("mfrac", m("mn", "1"), m("mn", "2")), mo(","), m("mn", "0"), mo(","), m("mn", "1"), mo(")")],
  "softmax over positions": (s) => softmax(s),
};

export function gateStages(page, site, state, change) {
  const [, rows, cols] = site.shape;
  const grid = site.grid ?? layout(null, rows * cols);
  const cell = state.query - grid.prefix;
  const channel = Math.min(state.channel, site.channels.length - 1);
  const marks = [{ cell, kind: "query" }];
  const view = { page, site, grid, cell, channel, marks, change, placed: site.grid };
  return [featureStage(page, site, grid, cell), vectors(view), scores(view), gates(view), weighted(view), predictionStage(page, site)];
}

function vectors({ page, site, cell, marks, placed }) {
  if (!site.query) {
    return [sentence("A gate of this kind has no queries and keys: nothing is compared with anything else. The features themselves are the values, and the gate decides how much of each passes.")];
  }
  const [channels] = site.query.shape;
  const items = (array) => Array.from({ length: Math.min(6, channels) }, (_, c) => ({ values: part(array, c), label: `channel ${c}` }));
  const at = (array) => Array.from({ length: Math.min(4, channels) }, (_, c) => part(array, c)[Math.min(cell, part(array, c).length - 1)]);
  const shownMaps = (array, name) => figure(name, maps(page, placed, items(array), signed(array.values), { bar: name.toLowerCase(), marks }));
  return [
    sentence(`Two learned projections give each position a query and a key, ${channels} ${channels === 1 ? "number" : "numbers"} each. A gate compares the two of the same position only; no position looks at another.`),
    formula(sub("q", "i"), mo("="), listing(at(site.query)), mo(","), mtext("\u2003"), sub("k", "i"), mo("="), listing(at(site.key))),
    shownMaps(site.query, "Query"),
    shownMaps(site.key, "Key"),
  ];
}

function scores(view) {
  const { site } = view;
  if (!site.scores) {
    return [sentence("The numbers that this gate was made from were not seen, so there are no scores to show; the gate itself follows.")];
  }
  const score = at(view, site.scores);
  return [
    sentence(`A score says how strongly to let ${what(site)} through, before σ makes a gate of it.`),
    formula(symbol(site, "s"), mo("="), ...product(view, score), result("score", score)),
    drawn(view, site.scores, signed((site.allScores ?? site.scores).values), "Scores", "score"),
  ];
}

function product({ site, cell, channel }, score) {
  if (!site.query) return [];
  const [channels] = site.query.shape;
  const q = Array.from({ length: channels }, (_, c) => part(site.query, c)[cell]);
  const k = Array.from({ length: channels }, (_, c) => part(site.key, c)[cell]);
  const inner = q.reduce((sum, value, c) => sum + value * k[c], 0);
  const c = site.channels[channel];
  if (close(inner, score)) return [sub("q", "i"), mo("·"), sub("k", "i"), mo("=")];
  if (c < channels && close(q[c] * k[c], score)) {
    return [sub("q", "i", "c"), sub("k", "i", "c"), mo("="), mn(q[c]), mo("·"), m("mrow", mo("("), mn(k[c]), mo(")")), mo("=")];
  }
  return [];
}

function gates(view) {
  const { site } = view;
  const gate = at(view, site.gate);
  const overPositions = site.sigma === "softmax over positions";
  const positions = site.shape[1] * site.shape[2];
  const scale = overPositions ? timesUniform(peakFor(positions)) : scaleOf(site);
  const values = overPositions ? { shape: site.gate.shape, values: site.gate.values.map((value) => value * positions) } : site.gate;
  const parts = [sentence(explained(site))];
  const score = site.scores ? mn(at(view, site.scores)) : mi("s");
  const lines = [symbol(site, "g"), mo("=")];
  if (site.sigma && site.sigma.startsWith("softmax") === false && site.scores) lines.push(...SIGMA[site.sigma](score), mo("="));
  if (site.sigma?.startsWith("softmax")) lines.push(...SIGMA[site.sigma](symbol(site, "s")), mo("="));
  parts.push(formula(...lines, result("weight", gate)));
  if (site.scores && !site.sigma) parts.push(note("σ is not one of the functions that Regard knows by name."));
  parts.push(drawn(view, values, scale, "Gate", overPositions ? "gate × number of positions" : "gate"));
  parts.push(spread(view, overPositions));
  return parts;
}

function spread({ site, channel }, overPositions) {
  const [low, high] = site.range;
  const range = `The gate runs from ${number(low)} to ${number(high)} and is ${number(site.mean)} on average.`;
  if (!overPositions) return note(`${range} Gates need not sum to one, so there is no entropy to state.`);
  const map = part(site.gate, site.overChannels ? channel : 0);
  const entropy = -map.reduce((sum, weight) => (weight > 0 ? sum + weight * Math.log(weight) : sum), 0);
  return note(`${range} Its entropy is ${number(entropy)} of at most ${number(Math.log(map.length))} nats.`);
}

function explained(site) {
  if (site.sigma === "softmax over positions") return "σ is the softmax over all positions: the gates of one map sum to one, so most are far below one. They are drawn as a multiple of uniform.";
  const name = site.sigma ? `Here σ is the ${site.sigma}. ` : "";
  return `${name}${site.overPositions ? "Every position" : "Every channel"} gets its gate: 0 closes, 1 lets ${what(site)} through unchanged.`;
}

function weighted(view) {
  const { page, site, grid, cell, channel, marks, change, placed } = view;
  const count = Math.min(6, site.channels.length);
  const maps = (array) => Array.from({ length: count }, (_, c) => part(array, c));
  const before = part(site.value, channel)[cell];
  const after = part(site.output, channel)[cell];
  const gate = at(view, site.gate);
  const labels = site.channels.slice(0, count).map((c) => `channel ${c}`);
  return [
    sentence("The features are multiplied by the gate, each where it stands: nothing moves from one position to another."),
    formula(sub("o", "i", "c"), mo("="), symbol(site, "g"), mo("·"), sub("x", "i", "c"), mo("="), mn(gate), mo("·"), m("mrow", mo("("), mn(before), mo(")")), mo("="), result("mixed", gate * before)),
    note(`Channel ${site.channels[channel]} at the picked position. The model’s own number: ${number(after)}.`),
    ...beforeAndAfter(page, { grid: placed, before: maps(site.value), after: maps(site.output), labels, chosen: channel, choose: (c) => change({ channel: c }), marks, cells: grid }),
  ];
}

// A gate or its scores: bars for one number a channel, maps for one number a position.
function drawn(view, array, scale, name, bar) {
  const { page, site, channel, marks, placed, change } = view;
  if (!site.overPositions) return bars(view, name === "Gate" ? site.allGates : site.allScores, scale, name, bar);
  const count = array.shape[0];
  const items = Array.from({ length: Math.min(6, count) }, (_, c) => ({
    values: spreadOut(site, array, c),
    label: site.overChannels ? `channel ${site.channels[c]}` : "all channels",
    chosen: c === channel,
    choose: site.overChannels ? () => change({ channel: c }) : null,
  }));
  return figures(figure(name, maps(page, placed, items, scale, { bar, marks, width: items.length === 1 ? 260 : 84 })));
}

function bars({ page, site, channel }, array, scale, name, bar) {
  const values = Array.from(array.values);
  const chosen = site.channels[channel];
  const peak = Math.max(...values.map(Math.abs), bar === "gate" ? 1 : 0) || 1;
  const twoSided = scale.kind === "signed";
  const columns = values.map((value, c) => {
    const fill = element("i", { class: c === chosen ? "chosen" : null });
    const height = (Math.abs(value) / peak) * (twoSided ? 50 : 100);
    fill.style.height = `${height}%`;
    fill.style.bottom = `${twoSided ? (value < 0 ? 50 - height : 50) : 0}%`;
    fill.style.background = colourAt(page.colours, scale, value);
    return element("span", { title: `channel ${c}: ${number(value)}` }, fill);
  });
  const label = `${name} of ${values.length} channels; full height is ${number(peak)}`;
  return figure(
    `${name}, one bar a channel; full height is ${number(peak)}`,
    element("div", { class: `columns${twoSided ? " two-sided" : ""}`, role: "img", "aria-label": label }, ...columns),
    colourBar(page.colours, scale, bar),
  );
}

// The value that counts for the picked position and channel; the gate may have one for all.
function at({ site, cell, channel }, array) {
  const map = spreadOut(site, array, site.overChannels ? channel : 0);
  return map[Math.min(cell, map.length - 1)];
}

// One channel's gates on all positions, where it has one a row or one a column only.
function spreadOut(site, array, index) {
  const [, rows, cols] = site.shape;
  const [, high, wide] = array.shape;
  const values = part(array, index);
  return Float32Array.from({ length: rows * cols }, (_, cell) => {
    const row = high === 1 ? 0 : Math.floor(cell / cols);
    return values[row * wide + (wide === 1 ? 0 : cell % cols)];
  });
}

function scaleOf(site) {
  const [low, high] = site.range;
  if (low < 0) return signed(site.range);
  return high <= 1 ? upTo(1) : positive(site.range);
}

function symbol(site, name) {
  return sub(name, ...[site.overPositions && "i", site.overChannels && "c"].filter(Boolean));
}

function result(name, value) {
  const node = mn(value);
  node.setAttribute("data-number", name);
  node.setAttribute("class", "result");
  return node;
}

const what = (site) => (site.overPositions ? (site.overChannels ? "a channel at a position" : "a position") : "a channel");

const softmax = (s) => [m("mfrac", m("msup", mi("e"), s), m("mrow", mo("∑"), m("msup", mi("e"), m("mi", "s"))))];

const close = (a, b) => Math.abs(a - b) <= 2e-2 * Math.max(0.05, Math.abs(a), Math.abs(b));

const peakFor = (count) => Math.max(2, 2 ** Math.ceil(Math.log2(count) / 2));
