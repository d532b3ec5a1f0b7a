// A table whose rows are kept from one second to the next, so that focus and selection stay where they are.

import { Spark } from "./chart.js";
import { element, say } from "./format.js";

/** A table of more rows draws only those that are near what is seen; of the others it keeps name and place. */
const ALL_DRAWN = 60;

export class Table {
  /**
   * @param columns `{key, title, cell(row)}`, and as they need it: `look(row)` a class; `spark(row)` values to draw
   *   beside the text; `badges(row)` `[look, text]` instead of it; `sortable`; `left`; `hide`, a class that hides it
   *   on narrow screens
   * @param key names a row
   * @param open is called with a row that is chosen
   * @param after gives what stands below a row, as an element, from what stood there before
   */
  constructor(table, columns, { key, open, sort, onSort, after }) {
    this.body = table.tBodies[0];
    this.columns = columns;
    this.key = key;
    this.open = open;
    this.after = after ?? (() => undefined);
    this.rows = new Map();
    this.order = [];
    this.sort = sort;
    this.heads = columns.map((column) => {
      const head = element("th", { scope: "col", class: classes(column) });
      if (column.sortable && onSort) head.append(element("button", { type: "button", onclick: () => (this.sortBy(column.key), onSort(column.key)) }, column.title));
      else head.append(column.title);
      return head;
    });
    table.tHead.rows[0].replaceChildren(...this.heads);
    this.markSort();
    this.body.addEventListener("keydown", (event) => this.move(event));
    this.near = new IntersectionObserver((entries) => entries.forEach((entry) => this.comeNear(entry)), { rootMargin: "50% 0px" });
  }

  comeNear({ target, isIntersecting }) {
    const row = this.rows.get(target.key);
    if (!row) return;
    row.isFar = !isIntersecting;
    if (isIntersecting) this.draw(row);
  }

  sortBy(key) {
    this.sort = key;
    this.order = [];
    this.markSort();
  }

  markSort() {
    this.columns.forEach((column, i) => {
      if (column.key === this.sort) this.heads[i].setAttribute("aria-sort", column.key === "name" ? "ascending" : "descending");
      else this.heads[i].removeAttribute("aria-sort");
    });
  }

  /** Shows these, in this order; but no row moves under somebody who points at one, or has one in focus. */
  show(items) {
    const seen = new Set();
    let before = null;
    for (const item of this.isHeld() ? this.held(items) : items) {
      const key = this.key(item);
      seen.add(key);
      const row = this.rows.get(key) ?? this.make(key);
      row.item = item;
      if (!row.isFar || items.length <= ALL_DRAWN) this.draw(row);
      else say(row.texts[0], this.columns[0].cell(item));
      before = place(this.body, row.main, before);
      const extra = this.after(item, row.extra?.cells[0].firstChild);
      if (extra && !row.extra) row.extra = element("tr", { class: "lacks" }, element("td", { colspan: this.columns.length }, extra));
      else if (!extra && row.extra) row.extra = void row.extra.remove();
      if (row.extra) before = place(this.body, row.extra, before);
    }
    this.order = [...seen];
    for (const [key, row] of this.rows) {
      if (seen.has(key)) continue;
      this.near.unobserve(row.main);
      row.main.remove();
      row.extra?.remove();
      this.rows.delete(key);
    }
    if (this.open && !this.rows.has(this.current)) this.choose(this.order[0]);
  }

  isHeld() {
    return this.open && (this.body.matches(":hover") || this.body.contains(document.activeElement));
  }

  /** Those that are shown stay where they are; others come behind them. */
  held(items) {
    const places = new Map(this.order.map((key, i) => [key, i]));
    const of = (item) => places.get(this.key(item)) ?? Infinity;
    return items.map((item) => [of(item), item]).sort(([a], [b]) => (a === b ? 0 : a - b)).map(([, item]) => item);
  }

  draw(row) {
    this.columns.forEach((column, i) => this.drawCell(column, row, i));
  }

  drawCell(column, row, i) {
    const cell = row.main.cells[i];
    const look = [classes(column), column.look?.(row.item)].filter(Boolean).join(" ");
    if (cell.className !== look) cell.className = look;
    if (column.badges) return drawBadges(cell, column.badges(row.item), column.cell(row.item));
    say(row.texts[i], column.cell(row.item));
    row.sparks[i]?.draw(column.spark(row.item));
  }

  make(key) {
    const row = { main: element("tr", { class: this.open ? "opens" : undefined }), texts: [], sparks: [] };
    this.columns.forEach((column, i) => {
      const opens = this.open && i === 0;
      const text = opens ? element("button", { type: "button", class: "name", tabindex: -1, "aria-haspopup": "dialog" }) : element("span");
      const cell = element("td");
      if (!column.badges) cell.append(text);
      row.texts.push(text);
      row.sparks.push(column.spark && new Spark());
      if (column.spark) cell.prepend(row.sparks[i].svg);
      row.main.append(cell);
    });
    if (this.open) {
      // The click of its button comes through here, too.
      row.main.addEventListener("click", () => {
        this.choose(key);
        row.texts[0].focus({ preventScroll: true });
        this.open(row.item);
      });
      row.texts[0].addEventListener("focus", () => this.choose(key));
    }
    this.rows.set(key, row);
    row.main.key = key;
    this.near.observe(row.main);
    return row;
  }

  /** Of all rows one is reached by the tabulator, and the others from there by arrows. */
  choose(key) {
    const set = (which, index) => this.rows.get(which)?.texts[0].setAttribute("tabindex", index);
    set(this.current, -1);
    this.current = key;
    set(key, 0);
  }

  /** Puts the focus on the row that the tabulator would reach. */
  focus() {
    this.rows.get(this.current)?.texts[0].focus();
  }

  move(event) {
    const at = this.order.indexOf(this.current);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: this.order.length - 1 }[event.key];
    if (to === undefined || event.target.closest(".lacks")) return;
    event.preventDefault();
    this.rows.get(this.order[to])?.texts[0].focus();
  }
}

const classes = (column) => [column.left && "left", column.hide].filter(Boolean).join(" ") || undefined;

function drawBadges(cell, badges, otherwise) {
  const words = badges.map((badge) => badge.join()).join("|") || otherwise;
  if (cell.words === words) return;
  cell.words = words;
  cell.replaceChildren(...(badges.length ? badges.map(([look, text]) => element("span", { class: `badge ${look}` }, text)) : [otherwise]));
}

/** Puts a row behind another, and moves nothing that already stands right: moving loses the focus. */
function place(body, row, before) {
  const next = before ? before.nextElementSibling : body.firstElementChild;
  if (next !== row) body.insertBefore(row, next);
  return row;
}
