// Figures in a strip: a title, a value, a note, and a gauge where there is a whole.

import { element, say } from "./format.js";

export class Tiles {
  /** @param place a `dl` */
  constructor(place = element("dl", { class: "tiles" })) {
    this.place = place;
    this.shown = new Map();
  }

  set(title, value, { note = "", look = "", share } = {}) {
    let shown = this.shown.get(title);
    if (!shown) {
      shown = { value: element("dd", { class: "value" }), note: element("dd", { class: "note" }) };
      shown.box = element("div", {}, element("dt", {}, title), shown.value, shown.note);
      if (share !== undefined) shown.box.append((shown.gauge = gauge()));
      this.shown.set(title, shown);
      this.place.append(shown.box);
    }
    say(shown.value, value);
    say(shown.note, note);
    shown.box.className = look;
    if (shown.gauge) fill(shown.gauge, share, look);
  }
}

/** A bar that is filled by a share; what it means is told in words beside it. */
export function gauge() {
  return element("div", { class: "gauge", "aria-hidden": "true" }, element("i"));
}

export function fill(place, share, look = "") {
  place.className = `gauge ${look}`;
  place.firstChild.style.width = `${(Math.max(0, Math.min(1, share || 0)) * 100).toFixed(1)}%`;
}
