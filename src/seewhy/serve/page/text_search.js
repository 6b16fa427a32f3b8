/** Searches texts, as the fields with many choices do. */

/** Returns whether one of the texts contains the query. */
export function matches(query, ...texts) {
  const wanted = query.trim().toLowerCase();
  return texts.some((text) => text.toLowerCase().includes(wanted));
}

/** Returns the items with a text that contains the query, ordered by which of their texts it is. */
export function searchItems(query, items, textsOf) {
  const rank = (item) => textsOf(item).findIndex((text) => matches(query, text));
  return items.filter((item) => rank(item) >= 0).sort((a, b) => rank(a) - rank(b));
}
