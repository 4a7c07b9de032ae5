// The arithmetic of attention, in double precision, from the queries and keys of one head.

import { part } from "packing.js";

export function scoresOf(site, head, query) {
  if (head.weights) return null;
  const d = head.query.shape[1];
  const q = part(head.query, query);
  const bias = biasOf(site, head, query);
  return Float64Array.from({ length: site.keys }, (_, key) => {
    let product = 0;
    for (let c = 0; c < d; c++) product += q[c] * head.key.values[key * d + c];
    return product * site.scale + (bias ? bias[key] : 0);
  });
}

export function weightsOf(site, head, query) {
  if (head.weights) return Float64Array.from(part(head.weights, query));
  const scores = scoresOf(site, head, query);
  const largest = scores.reduce((a, b) => Math.max(a, b), -Infinity);
  const weights = scores.map((score) => Math.exp(score - largest));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / sum);
}

export function biasOf(site, head, query) {
  const bias = head.bias ?? site.bias;
  if (!bias) return null;
  return part(bias, bias.shape[0] > 1 ? query : 0);
}

export function entropy(weights) {
  return -weights.reduce((sum, weight) => (weight > 0 ? sum + weight * Math.log(weight) : sum), 0);
}

// Indices of the `count` largest values, largest first.
export function largest(values, count) {
  return Array.from(values.keys())
    .sort((a, b) => values[b] - values[a])
    .slice(0, count);
}
