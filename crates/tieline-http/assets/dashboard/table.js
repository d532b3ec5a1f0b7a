// A table whose rows are kept from one second to the next, so that focus and selection stay where they are.

import { element } from "./format.js";

export class Table {
  /**
   * @param columns `{key, title, cell(row), look?(row), sortable?}`; `cell` gives text or an element
   * @param key names a row
   * @param open is called with a row that is chosen
   */
  constructor(table, columns, { key, open, sort, onSort, after }) {
    this.body = table.tBodies[0];
    this.columns = columns;
    this.key = key;
    this.open = open;
    this.after = after ?? (() => undefined);
    this.rows = new Map();
    this.sort = sort;
    const heads = columns.map((column) => {
      const head = element("th", { scope: "col", class: column.left ? "left" : undefined });
      if (column.sortable && onSort) head.append(element("button", { type: "button", onclick: () => onSort(this.toggle(column.key)) }, column.title));
      else head.append(column.title);
      return head;
    });
    table.tHead.rows[0].replaceChildren(...heads);
    this.heads = heads;
    this.markSort();
    this.body.addEventListener("keydown", (event) => this.move(event));
  }

  toggle(key) {
    this.sort = key;
    this.markSort();
    return key;
  }

  markSort() {
    this.columns.forEach((column, i) => {
      if (column.key === this.sort) this.heads[i].setAttribute("aria-sort", column.key === "name" ? "ascending" : "descending");
      else this.heads[i].removeAttribute("aria-sort");
    });
  }

  /** Shows these, in this order. */
  show(items) {
    const seen = new Set();
    let before = null;
    for (const item of items) {
      const key = this.key(item);
      seen.add(key);
      const row = this.rows.get(key) ?? this.make(key);
      row.item = item;
      this.columns.forEach((column, i) => {
        const cell = row.main.cells[i];
        const content = column.cell(item);
        if (content instanceof Node) cell.replaceChildren(content);
        else if (cell.textContent !== content) cell.textContent = content;
        const look = [column.left && "left", column.look?.(item)].filter(Boolean).join(" ");
        if (cell.className !== look) cell.className = look;
      });
      before = place(this.body, row.main, before);
      const extra = this.after(item);
      if (extra && row.extra) row.extra.cells[0].replaceChildren(extra);
      else if (extra) row.extra = element("tr", { class: "lacks" }, element("td", { colspan: this.columns.length }, extra));
      else if (row.extra) row.extra = void row.extra.remove();
      if (row.extra) before = place(this.body, row.extra, before);
    }
    for (const [key, row] of this.rows) {
      if (seen.has(key)) continue;
      row.main.remove();
      row.extra?.remove();
      this.rows.delete(key);
    }
  }

  make(key) {
    const row = { main: element("tr", { tabindex: this.open ? 0 : undefined }) };
    for (const _ of this.columns) row.main.append(element("td"));
    if (this.open) {
      row.main.addEventListener("click", () => this.open(row.item));
      row.main.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" || event.target !== row.main) return;
        // Else the key would press the button that what opens has in focus.
        event.preventDefault();
        this.open(row.item);
      });
    }
    this.rows.set(key, row);
    return row;
  }

  move(event) {
    const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
    let row = document.activeElement?.closest("tr");
    if (!step || !row || row.parentNode !== this.body) return;
    do row = row[step];
    while (row && !row.hasAttribute("tabindex"));
    row?.focus();
    event.preventDefault();
  }
}

/** Puts a row behind another, and moves nothing that already stands right: moving loses the focus. */
function place(body, row, before) {
  const next = before ? before.nextElementSibling : body.firstElementChild;
  if (next !== row) body.insertBefore(row, next);
  return row;
}
