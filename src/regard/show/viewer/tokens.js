// The six stages of a site where tokens attend to tokens.

import { biasOf, entropy, largest, scoresOf, weightsOf } from "attention.js";
import { colourBar, positive, signed, timesUniform, upTo } from "colour.js";
import { element, formula, listing, m, mi, mn, mo, mtext, number, signedTerms, sub } from "elements.js";
import { part } from "packing.js";
import { colours, layout, map, rgbColours, tokenName } from "picture.js";
import { beforeAndAfter, featureStage, figure, figures, maps, note, predictionStage, sentence } from "sections.js";

const LISTED = 4;
const TERMS = 3;
const BEST = 6;

// page: what belongs to the whole page; state: {head, query, channel}; change(update) redraws.
export function tokenStages(page, site, state, change) {
  const head = site.heads[state.head];
  const view = { page, site, head, state, change, ...measured(site, head, state.query) };
  const queryCell = state.query - (site.queryGrid?.prefix ?? 0);
  view.queryMarks = site.queryGrid && queryCell >= 0 ? [{ cell: queryCell, kind: "query" }] : [];
  view.keyGrid = layout(site.keyGrid, site.keys);
  view.keyMarks = markKey(view);
  return [
    site.keyGrid ? featureStage(page, site, site.keyGrid, site.sameGrid ? queryCell : -1) : featureStage(page, { features: null }),
    vectors(view),
    scores(view),
    weights(view),
    weighted(view),
    predictionStage(page, site),
  ];
}

function measured(site, head, query) {
  const row = weightsOf(site, head, query);
  const top = largest(row, TERMS);
  return { row, top, key: top[0], scores: scoresOf(site, head, query), entropy: entropy(row) };
}

function markKey({ site, key, keyGrid, queryMarks }) {
  const cell = key - keyGrid.prefix;
  const marks = site.sameGrid ? [...queryMarks] : [];
  return cell >= 0 ? [...marks, { cell, kind: "key" }] : marks;
}

function vectors(view) {
  const { page, site, head, state } = view;
  if (!head.query) {
    return [sentence("This site’s weights are not the softmax of one query and one key vector for each token, so there are none to show."), ...vectorFigures(view)];
  }
  const d = head.query.shape[1];
  const listed = (name, index, values) =>
    formula(
      sub(name, index), mo("="), sub("W", name), sub("x", index), mo("="),
      listing(values.subarray(0, LISTED)), mo(","), mtext("\u2003"),
      mo("‖"), sub(name, index), mo("‖"), mo("="), mn(norm(values)),
    );
  const parts = [
    sentence(`Three learned projections give each token a query (what it looks for), a key (what it offers) and a value (what it passes on): ${d} numbers each for queries and keys in ${head.name}.`),
    listed("q", "i", part(head.query, state.query)),
    listed("k", "j", part(head.key, view.key)),
    note(`i is the picked query (${tokenName(site.queryGrid, state.query)}); j is the key it attends to most (${tokenName(site.keyGrid, view.key)}).`),
    ...vectorFigures(view),
    note("Tokens with similar colours hold similar vectors. The colours are the first three principal components as red, green and blue, all on the scale of the first."),
  ];
  return parts;
}

function vectorFigures({ page, site, head, queryMarks, keyMarks }) {
  const panels = [
    ["Query", head.query && norms(head.query), head.queryColours, site.queryGrid, queryMarks, head.query],
    ["Key", head.key && norms(head.key), head.keyColours, site.keyGrid, keyMarks, head.key],
    ["Value", head.valueNorms?.values, head.valueColours, site.keyGrid, keyMarks, null],
  ].filter((panel) => panel[2]);
  const shown = panels.map(([name, length, rgb, grid, marks]) => {
    const tokens = rgb.rgb.shape[0];
    const cells = layout(grid, tokens);
    const prefix = cells.prefix;
    const ratio = grid ? page.ratio : null;
    const components = map(cells, { width: 118, ratio, marks, label: `${name} vectors as colours`, colour: inside(cells, tokens, rgbColours(rgb.rgb.values.subarray(3 * prefix))) });
    const content = [element("div", { class: "tile" }, components, element("span", { class: "tile-label" }, `components, ${Math.round(100 * rgb.explained)} % of variance`))];
    if (length) {
      const scale = positive(length);
      const placed = length.subarray(prefix);
      const size = map(cells, { width: 118, ratio, marks, label: `Length of the ${name.toLowerCase()} vectors`, colour: colours(page.colours, scale, placed), describe: (cell) => number(placed[cell]) });
      content.push(element("div", { class: "tile" }, size, colourBar(page.colours, scale, "length ‖·‖")));
    }
    return figure(name, element("div", { class: "pair" }, ...content));
  });
  return [figures(...shown), channelGrid(page, panels)];
}

function channelGrid(page, panels) {
  const whole = panels.filter((panel) => panel[5]);
  if (!whole.length) return null;
  const details = element("details", {}, element("summary", {}, "Every channel of query and key"));
  details.addEventListener("toggle", () => {
    if (!details.open || details.children.length > 1) return;
    for (const [name, , , grid, , array] of whole) {
      const prefix = grid?.prefix ?? 0;
      const items = columns(array).map((values, c) => ({ values: values.subarray(prefix), label: String(c) }));
      details.append(figure(name, maps(page, grid, items, signed(array.values), { bar: `${name.toLowerCase()} channels`, width: 56 })));
    }
  });
  return details;
}

function scores(view) {
  const { page, site, head, state, key } = view;
  if (!view.scores) {
    return [sentence("This site does not form its weights from scores by a softmax: there are no scores to show, only the weights that come out.")];
  }
  const d = head.query.shape[1];
  const q = part(head.query, state.query);
  const k = part(head.key, key);
  const products = Float64Array.from(q, (value, c) => value * k[c]);
  const biggest = largest(products.map(Math.abs), TERMS).sort((a, b) => a - b);
  const total = products.reduce((a, b) => a + b, 0);
  const bias = biasOf(site, head, state.query)?.[key];
  const root = Math.abs(site.scale - 1 / Math.sqrt(d)) < 1e-6 * site.scale;
  const scaled = root ? m("mfrac", mn(total), m("msqrt", m("mn", String(d)))) : m("mrow", mn(total), mo("·"), mn(site.scale));
  const symbol = root ? m("mfrac", dot(), m("msqrt", mi("d"))) : m("mrow", dot(), mo("·"), mi("α"));
  const rest = total - biggest.reduce((sum, c) => sum + products[c], 0);
  const cells = view.keyGrid;
  const values = view.scores.subarray(cells.prefix);
  const finite = view.scores.filter(Number.isFinite);
  const scale = signed(finite);
  return [
    sentence(root
      ? "How well does the picked query fit each key? The score is their dot product, divided by √d so that its spread does not grow with the number of channels."
      : `How well does the picked query fit each key? The score is their dot product times ${number(site.scale)}.`),
    formula(dot(), mo("="), ...signedTerms(biggest.map((c) => [q[c], k[c]])), mo("+"), m("munder", m("mrow", mo("("), mn(rest), mo(")")), mtext(`${Math.max(0, d - TERMS)} more channels`)), mo("="), mn(total)),
    formula(sub("s", "i", "j"), mo("="), symbol, bias === undefined ? null : m("mrow", mo("+"), sub("b", "i", "j")), mo("="), scaled, bias === undefined ? null : m("mrow", mo("+"), mo("("), mn(bias), mo(")")), mo("="), shown("score", view.scores[key])),
    figures(figure(`Scores of the picked query (${tokenName(site.queryGrid, state.query)})`, overlay(view, colours(page.colours, scale, values), (cell) => `score ${number(values[cell])}`, "Scores of the picked query"), colourBar(page.colours, scale, "score"), keyLegend(view)), bestKeys(view)),
  ];
}

function bestKeys({ site, scores: values, row }) {
  const lines = largest(values, Math.min(BEST, site.keys)).map((key) =>
    element("tr", {}, ...[tokenName(site.keyGrid, key), number(values[key]), number(row[key]), `${number(row[key] * site.keys)}×`].map((text) => element("td", {}, text))));
  const head = ["key", "score", "weight", "of uniform"].map((text) => element("th", { scope: "col" }, text));
  return figure("The keys that fit best", element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...lines)));
}

function weights(view) {
  const { page, site, head, state, row, key } = view;
  const times = row.map((weight) => weight * site.keys);
  const scale = timesUniform(site.peak);
  const cells = view.keyGrid;
  const values = times.subarray(cells.prefix);
  const limit = Math.log(site.keys);
  const entropies = head.entropies.values.subarray(site.queryGrid?.prefix ?? 0);
  const entropyScale = upTo(limit);
  const parts = [
    sentence("The softmax turns the scores into weights that are positive and sum to one. They are drawn as a multiple of uniform: 1× is what every key would get if the query had no preference."),
    ...softmaxFormula(view),
    sentence("Entropy says how spread out the row is. ", element("strong", {}, shownText("entropy", number(view.entropy)), ` of at most ${number(limit)} nats`), `: as if it looked at ${shownNumber(Math.exp(view.entropy))} of ${site.keys} keys.`),
    formula(sub("H", "i"), mo("="), mo("−"), m("munder", mo("∑"), mi("j")), sub("w", "i", "j"), mi("ln"), mtext("\u2009"), sub("w", "i", "j"), mo("="), mn(view.entropy), mo("≤"), mi("ln"), mtext("\u2009"), mn(String(site.keys)), mo("="), mn(limit)),
  ];
  const prefix = prefixWeights(view, times);
  const rowFigure = figure(`Weights of the picked query, ${head.name}`, overlay(view, colours(page.colours, scale, values), (cell) => `${number(values[cell])}× uniform`, "Weights of the picked query as multiples of uniform"), colourBar(page.colours, scale, "weight × number of keys"), keyLegend(view), prefix);
  const queryCells = layout(site.queryGrid, site.queries);
  const entropyFigure = site.queries > 1 ? figure("Entropy of every query’s row", map(queryCells, { width: 260, ratio: site.queryGrid ? page.ratio : null, marks: view.queryMarks, colour: colours(page.colours, entropyScale, entropies), label: "Entropy of every query’s row", describe: (cell) => `${number(entropies[cell])} nats`, pick: (cell) => view.change({ query: cell + queryCells.prefix }) }), colourBar(page.colours, entropyScale, `entropy in nats; the end is ln ${site.keys}, uniform`)) : null;
  parts.push(figures(rowFigure, entropyFigure), headTiles(view, scale));
  if (head.deviation !== undefined) {
    parts.push(note(`Rows are computed in this page from the model’s own queries and keys, kept in 16-bit precision: at most ${number(100 * head.deviation, 2)} % of a row’s largest weight off. In the record they are ${site.provenance}.`));
  }
  return parts;
}

function softmaxFormula({ site, scores: values, row, key }) {
  const times = m("mrow", mo("="), mn(row[key] * site.keys), mo("×"), m("mfrac", m("mn", "1"), m("mn", String(site.keys))));
  if (!values) return [formula(sub("w", "i", "j"), mo("="), shown("weight", row[key]), times)];
  const largestScore = values.reduce((a, b) => Math.max(a, b), -Infinity);
  const sum = values.reduce((total, score) => total + Math.exp(score - largestScore), 0);
  const power = (score) => m("msup", mi("e"), mn(score));
  return [
    formula(sub("w", "i", "j"), mo("="), m("mfrac", m("msup", mi("e"), sub("s", "i", "j")), m("mrow", m("munder", mo("∑"), mi("l")), m("msup", mi("e"), sub("s", "i", "l")))), mo("="), m("mfrac", power(values[key]), m("mrow", power(largestScore), mo("·"), mn(sum))), mo("="), shown("weight", row[key]), times),
  ];
}

function headTiles({ page, site, state, change, keyGrid, keyMarks }, scale) {
  if (site.heads.length < 2) return null;
  const items = site.heads.map((head, index) => ({
    values: weightsOf(site, head, state.query).map((weight) => weight * site.keys).subarray(keyGrid.prefix),
    label: head.name,
    chosen: index === state.head,
    choose: () => change({ head: index }),
  }));
  return figure("The same query in every head; choose one", maps(page, site.keyGrid, items, scale, { bar: "weight × number of keys", width: 110, marks: keyMarks.filter((mark) => mark.kind === "query"), tokens: site.keys }));
}

function prefixWeights({ site, keyGrid }, times) {
  if (!keyGrid.prefix) return null;
  const listed = Array.from({ length: keyGrid.prefix }, (_, token) => `${tokenName(site.keyGrid, token)} ${number(times[token])}×`);
  return element("p", { class: "small" }, `Without a place on the image: ${listed.join(", ")}`);
}

function weighted(view) {
  const { page, site, head, state, row, top, change } = view;
  if (!head.value) return [sentence("The values of this site were not seen, so the weighted features cannot be shown.")];
  const channel = Math.min(state.channel, head.channels.length - 1);
  const values = part(head.value, channel);
  const output = head.output ? part(head.output, channel) : null;
  const terms = top.map((j) => [row[j], values[j]]);
  const sum = values.reduce((total, value, j) => total + row[j] * value, 0);
  const rest = sum - terms.reduce((total, [w, v]) => total + w * v, 0);
  const others = site.keys - terms.length;
  const parts = [
    sentence("Each query takes the average of all values, weighted by its row. Below, channel by channel: the values before, and the weighted features after."),
    formula(sub("o", "i", "c"), mo("="), m("munder", mo("∑"), mi("j")), sub("w", "i", "j"), sub("v", "j", "c"), mo("="), ...signedTerms(terms), ...(others > 0 ? [mo("+"), m("munder", m("mrow", mo("("), mn(rest), mo(")")), mtext(`${others} more keys`))] : []), mo("="), shown("mixed", sum)),
    note(`Channel ${head.channels[channel]} of ${head.name}, of ${head.totalChannels}. `, output ? `The model’s own number: ${number(output[state.query])}.` : ""),
  ];
  if (!head.output) return parts;
  const count = Math.min(6, head.channels.length);
  const prefix = (grid) => grid?.prefix ?? 0;
  const before = Array.from({ length: count }, (_, c) => part(head.value, c).subarray(prefix(site.keyGrid)));
  const after = Array.from({ length: count }, (_, c) => part(head.output, c).subarray(prefix(site.queryGrid)));
  const labels = head.channels.slice(0, count).map((c) => `channel ${c}`);
  const stages = beforeAndAfter(page, { grid: site.keyGrid, grids: site.sameGrid ? null : site.queryGrid, before, after, labels, chosen: channel, choose: (c) => change({ channel: c }), marks: site.sameGrid ? view.queryMarks : [] });
  return [...parts, ...stages];
}

function overlay(view, colour, describe, label) {
  const { page, site, keyGrid } = view;
  const pick = site.sameGrid ? (cell) => view.change({ query: cell + keyGrid.prefix }) : null;
  return map(keyGrid, { width: 260, colour, describe, label, pick, marks: view.keyMarks, beneath: site.keyGrid && page.overlay ? page.grey : null, opacity: 0.78, ratio: site.keyGrid ? page.ratio : null });
}

function keyLegend({ site, key }) {
  return element("p", { class: "small" }, `Dashed: the most attended key, ${tokenName(site.keyGrid, key)}${site.sameGrid ? "; solid: the query" : ""}.`);
}

const dot = () => m("mrow", sub("q", "i"), mo("·"), sub("k", "j"));

function shown(name, value) {
  const node = mn(value);
  node.setAttribute("data-number", name);
  node.setAttribute("class", "result");
  return node;
}

const shownText = (name, text) => element("span", { "data-number": name }, text);

const shownNumber = (value) => number(value, value >= 100 ? 3 : 2);

const norm = (values) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));

function norms(array) {
  return Float32Array.from({ length: array.shape[0] }, (_, token) => norm(part(array, token)));
}

function columns(array) {
  const [tokens, d] = array.shape;
  return Array.from({ length: d }, (_, c) => Float32Array.from({ length: tokens }, (__, token) => array.values[token * d + c]));
}

const inside = (grid, tokens, colour) => (cell) => (cell + grid.prefix < tokens ? colour(cell) : null);
