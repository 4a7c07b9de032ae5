// What the stages of every kind of site share: figures, maps on one scale, the prediction.

import { colourBar, signed } from "colour.js";
import { element, formula, listing, m, mi, mo, mtext, number, percent, sub } from "elements.js";
import { colours, layout, map } from "picture.js";
import { part } from "packing.js";

export function figure(caption, ...content) {
  return element("figure", {}, ...content, element("figcaption", {}, caption));
}

export const figures = (...content) => element("div", { class: "figures" }, ...content);

export const sentence = (...content) => element("p", {}, ...content);

export const note = (...content) => element("p", { class: "note" }, ...content);

// Small maps side by side on one scale. items: [{values, label, chosen, choose}].
export function maps(page, grid, items, scale, { bar, width = 84, marks = [], tokens = null }) {
  const cells = layout(grid, tokens ?? items[0].values.length);
  const tiles = items.map(({ values, label, chosen, choose }) => {
    const drawn = map(cells, {
      width, marks, label: `${label} over the image`, ratio: grid ? page.ratio : null,
      colour: colours(page.colours, scale, values),
      describe: (cell) => `${label}: ${number(values[cell])}`,
    });
    const text = element("span", { class: "tile-label" }, label);
    if (!choose) return element("div", { class: "tile" }, drawn, text);
    return element("button", { type: "button", class: "tile", "aria-pressed": chosen, onclick: choose }, drawn, text);
  });
  return element("div", {}, element("div", { class: "tiles" }, ...tiles), colourBar(page.colours, scale, bar));
}

export function pickedCell(page, grid, cell) {
  const canvas = element("canvas", { width: 240, height: 240, role: "img" });
  const context = canvas.getContext("2d");
  const { image } = page;
  const width = image.naturalWidth / grid.cols;
  const height = image.naturalHeight / grid.rows;
  const x = (cell % grid.cols) * width;
  const y = Math.floor(cell / grid.cols) * height;
  canvas.height = Math.round((240 * height) / width);
  canvas.style.width = "120px";
  context.imageSmoothingEnabled = false;
  context.drawImage(image, x, y, width, height, 0, 0, canvas.width, canvas.height);
  canvas.setAttribute("aria-label", "The pixels of the picked cell, enlarged");
  const picked = figure(`The picked cell: ${trim(height)} × ${trim(width)} pixels`, canvas);
  picked.className = "narrow";
  return picked;
}

// Stage 1. cell: the picked cell of `grid`, or a negative number for a token without a place.
export function featureStage(page, site, grid, cell) {
  const { features } = site;
  if (!features) {
    return [sentence("What this site’s module was given is no map over the image, so there are no feature maps to show before the attention itself.")];
  }
  const [count] = features.maps.shape;
  const shown = Array.from({ length: count }, (_, i) => part(features.maps, i));
  const items = shown.map((values, i) => ({ values, label: `channel ${features.channels[i]}` }));
  const marks = cell >= 0 ? [{ cell, kind: "query" }] : [];
  const parts = [
    sentence(`The layers before the attention turn the picture into ${features.total} numbers for each of ${grid.rows} × ${grid.cols} cells. These are the ${count} channels with the largest mean absolute value, all on one scale.`),
  ];
  if (cell >= 0) {
    const listed = listing(shown.slice(0, 4).map((values) => values[cell]));
    const space = m("msup", mi("ℝ"), m("mn", String(features.total)));
    parts.push(formula(sub("x", "i"), mo("="), listed, mo("∈"), space));
    parts.push(note(`The features of the picked cell; listed are channels ${features.channels.slice(0, 4).join(", ")}.`));
  }
  const feature = figure("Strongest feature maps", maps(page, grid, items, signed(...shown), { bar: "feature value", marks }));
  parts.push(figures(cell >= 0 ? pickedCell(page, grid, cell) : null, feature));
  return parts;
}

// What the network ends in, the formula of what is listed of it, and how the largest is called.
const softmax = () => m("mfrac", m("msup", mi("e"), sub("z", "c")), m("mrow", m("munder", mo("∑"), mi("k")), m("msup", mi("e"), sub("z", "k"))));
const ANSWERS = {
  classes: { ends: "one probability for each class", symbol: "p", formula: softmax, most: "likeliest of these classes is", aria: "Class probabilities" },
  pixels: { ends: "a class for each pixel; listed is the share of the pixels that each class has", symbol: "s", formula: () => m("mfrac", sub("n", "c"), mi("n")), most: "largest of these classes is", aria: "Shares of the pixels" },
  boxes: { ends: "boxes, with a score for each class; listed is the score of the surest box of each class", symbol: "s", formula: () => m("mrow", m("munder", mo("max"), mi("b")), sub("p", "bc")), most: "surest of these classes is", aria: "Scores of the surest boxes" },
};

// Stage 6.
export function predictionStage(page, site) {
  if (!page.on) {
    return [sentence("This model has no class head: it turns an image into features, so there is no prediction to show, with attention or without.")];
  }
  const answer = ANSWERS[page.answer];
  const rows = page.classes.map(({ label }, index) => probabilityRow(label, page.on[index], site.off?.values[index]));
  const parts = [
    sentence(`The weighted features go through the rest of the network, which ends in ${answer.ends}. What did the attention add? The same image once more, with this site’s attention switched off:`),
    site.off ? sentence(element("strong", {}, "Switched off means: "), site.off.meaning) : sentence("This site could not be switched off."),
    formula(sub(answer.symbol, "c"), mo("="), answer.formula(), mo(","), mtext("\u2003"), sub(answer.symbol, page.classes[0].label), mo("="), m("mn", percent(page.on[0])), ...(site.off ? [mtext("\u00a0with attention,\u2002"), m("mn", percent(site.off.values[0])), mtext("\u00a0without")] : [])),
    element("div", { class: "probabilities", role: "table", "aria-label": `${answer.aria} with attention on and off` }, ...rows),
    element("p", { class: "key" }, element("span", { class: "swatch on" }), "attention on ", site.off ? element("span", { class: "swatch off" }) : null, site.off ? "this site switched off" : null),
  ];
  if (page.allOff && page.totalSites > 1) {
    const best = page.allOff.values.reduce((top, value, i, all) => (value > all[top] ? i : top), 0);
    parts.push(note(`With all ${page.totalSites} sites switched off at once, the ${answer.most} ${page.classes[best].label} with ${percent(page.allOff.values[best])}.`));
  }
  const hidden = page.totalClasses - page.classes.length;
  if (hidden > 0) parts.push(note(`${hidden} further ${hidden === 1 ? "class is" : "classes are"} not listed.`));
  return parts;
}

// A column of three rows of maps: before, after, difference; the first two share a scale.
export function beforeAndAfter(page, { grid, before, after, labels, chosen, choose, marks, grids }) {
  const both = signed(...before, ...after);
  const row = (values, name, scale, bar, where) =>
    figure(name, maps(page, where, values.map((map, i) => ({ values: map, label: labels[i], chosen: chosen === i, choose: () => choose(i) })), scale, { bar, marks }));
  const parts = [row(before, "Before", both, "feature value", grid), row(after, "After", both, "feature value, same scale", grids ?? grid)];
  if (!grids) {
    const difference = before.map((values, i) => values.map((value, cell) => after[i][cell] - value));
    parts.push(row(difference, "Difference: after − before", signed(...difference), "difference", grid));
  }
  return parts;
}

function probabilityRow(label, on, off) {
  const bar = (kind, value) => {
    const fill = element("div", { class: `fill ${kind}` });
    fill.style.width = `${100 * value}%`;
    return element("div", { class: "track" }, fill, element("span", { class: "value" }, percent(value)));
  };
  return element("div", { class: "probability", role: "row" },
    element("div", { class: "class", role: "rowheader" }, label),
    element("div", { role: "cell" }, bar("on", on), off === undefined ? null : bar("off", off)));
}

function trim(value) {
  return Number.isInteger(value) ? String(value) : value.toFixed(1);
}
