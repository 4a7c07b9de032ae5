// The gallery: thumbnails are hidden and reordered; nothing is drawn anew.

const list = document.getElementById("cards");
const cards = [...list.children];
const menus = ["class", "verdict", "order"].map((id) => document.getElementById(id)).filter(Boolean);
const value = (id) => menus.find((menu) => menu.id === id)?.value ?? "";

// Images without a prediction come last, whichever the order.
const confidence = (card, without) => (card.dataset.confidence === "" ? without : Number(card.dataset.confidence));
const ORDERS = {
  place: (a, b) => a.dataset.place - b.dataset.place,
  falling: (a, b) => confidence(b, -1) - confidence(a, -1) || ORDERS.place(a, b),
  rising: (a, b) => confidence(a, 2) - confidence(b, 2) || ORDERS.place(a, b),
  name: (a, b) => a.dataset.name.localeCompare(b.dataset.name, undefined, { numeric: true }),
};

function show() {
  const fits = (card) => ["class", "verdict"].every((id) => !value(id) || card.dataset[id] === value(id));
  let shown = 0;
  for (const card of cards) {
    card.hidden = !fits(card);
    if (!card.hidden) shown += 1;
  }
  list.append(...[...cards].sort(ORDERS[value("order")]));
  const all = `${cards.length} ${cards.length === 1 ? "image" : "images"}`;
  document.getElementById("count").textContent = shown === cards.length ? all : `${shown} of ${all}`;
  document.getElementById("none").hidden = shown > 0;
}

for (const menu of menus) menu.addEventListener("change", show);
document.getElementById("ways").hidden = false;
show();
document.body.dataset.ready = "true";
