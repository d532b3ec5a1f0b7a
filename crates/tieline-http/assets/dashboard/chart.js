// A live line chart of the last two minutes: one or two lines, the newest value at the right; and the small one in a row.

import { element, say } from "./format.js";
import { SPAN } from "./series.js";

const WIDTH = 300;
const HEIGHT = 100;
const SVG = "http://www.w3.org/2000/svg";

export class Chart {
  /** @param names of the lines of `series`; @param format of a value */
  constructor({ title, names, format, series, isSmall = false }) {
    this.series = series;
    this.format = format;
    this.names = names;
    this.title = title;
    this.svg = make("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
    for (const y of [0, HEIGHT / 2, HEIGHT]) this.svg.append(make("line", { class: "grid", x1: 0, x2: WIDTH, y1: y, y2: y }));
    this.area = make("path", { class: "area" });
    this.lines = names.map((_, i) => make("path", { class: `line ${i === 0 ? "one" : "two"}` }));
    this.cursor = make("line", { class: "cursor", y1: 0, y2: HEIGHT, visibility: "hidden" });
    this.svg.append(this.area, ...this.lines, this.cursor);
    this.values = names.map(() => element("b"));
    this.most = element("small");
    const legend = element("div", { class: "legend" }, ...names.map((name, i) => element("span", { class: i === 0 ? "one" : "two" }, element("i"), `${name} `, this.values[i])));
    this.since = element("span", {}, "2 min ago");
    const plot = element("div", { class: isSmall ? "plot small" : "plot" }, this.svg, element("div", { class: "times", "aria-hidden": "true" }, this.since, element("span", {}, "now")));
    this.figure = element("figure", {}, element("figcaption", {}, title, this.most), legend, plot);
    plot.addEventListener("pointermove", (event) => this.point(event));
    plot.addEventListener("pointerleave", () => this.point());
  }

  /** Draws the series as they are now. Nobody sees a page that is hidden. */
  draw() {
    if (document.hidden) return;
    const most = this.series.most();
    const top = most > 0 ? most * 1.1 : 1;
    this.lines.forEach((line, i) => line.setAttribute("d", path(this.series.lines[i], top)));
    this.area.setAttribute("d", path(this.series.lines[0], top, true));
    const words = this.names.map((name, i) => `${name} ${this.format(this.series.lines[i].at(-1))}`);
    this.svg.setAttribute("aria-label", `${this.title}: ${words.join(", ")}; at most ${this.format(most)} in the last two minutes`);
    say(this.most, most > 0 ? `max ${this.format(most)}` : "");
    this.tell();
  }

  /** The second that is pointed at is told instead of the last. */
  point(event) {
    const box = this.svg.getBoundingClientRect();
    this.pointed = event && Math.max(0, Math.min(SPAN - 1, Math.round(((event.clientX - box.left) / box.width) * (SPAN - 1))));
    this.tell();
  }

  tell() {
    const at = this.pointed ?? SPAN - 1;
    this.values.forEach((value, i) => say(value, this.format(this.series.lines[i][at])));
    this.cursor.setAttribute("visibility", this.pointed === undefined ? "hidden" : "visible");
    const x = (at * WIDTH) / (SPAN - 1);
    this.cursor.setAttribute("x1", x);
    this.cursor.setAttribute("x2", x);
    say(this.since, this.pointed === undefined ? "2 min ago" : `${SPAN - 1 - at} s ago`);
  }
}

/** The line of a row: as wide as a word, without numbers, for they stand beside it. */
export class Spark {
  constructor() {
    this.line = make("path", { class: "line one" });
    this.svg = make("svg", { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" });
    this.svg.append(this.line);
  }

  draw(values) {
    let top = 0;
    for (const value of values) if (value > top) top = value;
    const drawn = top > 0 ? path(values, top, false, 2) : "";
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    this.line.setAttribute("d", drawn);
  }
}

/** Lines between the values that are known; with `isClosed` down to the ground, as an area. Of `every` values the largest. */
function path(values, top, isClosed = false, every = 1) {
  const step = WIDTH / (SPAN - 1);
  let drawn = "";
  let last;
  const end = () => (isClosed && last !== undefined ? `V${HEIGHT}Z` : "");
  for (let i = every - 1; i < SPAN; i += every) {
    let value = values[i];
    for (let j = i - every + 1; j < i; j += 1) if (values[j] > value) value = values[j];
    if (Number.isNaN(value)) {
      drawn += end();
      last = undefined;
      continue;
    }
    const x = Math.round(i * step * 10) / 10;
    const y = Math.round((HEIGHT - (value / top) * HEIGHT) * 10) / 10;
    if (last === undefined) drawn += isClosed ? `M${x} ${HEIGHT}V${y}` : `M${x} ${y}h0`;
    else drawn += `L${x} ${y}`;
    last = x;
  }
  return drawn + end();
}

function make(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
