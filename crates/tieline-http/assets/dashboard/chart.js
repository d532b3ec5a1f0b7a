// A live line chart of the last minutes: one or two series, the newest at the right.

const SPAN = 120;
const WIDTH = 300;
const HEIGHT = 100;
const SVG = "http://www.w3.org/2000/svg";

export class Chart {
  /** @param names of its one or two series; @param format of a value */
  constructor(place, names, format) {
    this.series = names.map(() => []);
    this.format = format;
    this.names = names;
    this.svg = make("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
    for (const y of [0, HEIGHT / 2, HEIGHT]) this.svg.append(make("line", { class: "grid", x1: 0, x2: WIDTH, y1: y, y2: y }));
    this.lines = names.map((_, i) => make("path", { class: `line ${i === 0 ? "one" : "two"}` }));
    this.svg.append(...this.lines);
    this.legend = document.createElement("div");
    this.legend.className = "legend";
    this.values = names.map((name, i) => {
      const entry = document.createElement("span");
      entry.className = i === 0 ? "one" : "two";
      const value = document.createElement("span");
      entry.append(document.createElement("i"), `${name} `, value);
      this.legend.append(entry);
      return value;
    });
    this.top = document.createElement("span");
    this.top.className = "top";
    this.legend.prepend(this.top);
    place.append(this.svg, this.legend);
  }

  /** One more second. An undefined value leaves a gap. */
  push(...values) {
    values.forEach((value, i) => {
      this.series[i].push(value);
      if (this.series[i].length > SPAN) this.series[i].shift();
    });
    if (!document.hidden) this.draw();
  }

  draw() {
    const most = Math.max(0, ...this.series.flat().filter((value) => value !== undefined && value !== null));
    const top = most > 0 ? most * 1.1 : 1;
    this.lines.forEach((line, i) => line.setAttribute("d", this.path(this.series[i], top)));
    const words = this.names.map((name, i) => `${name} ${this.format(this.series[i].at(-1))}`);
    this.names.forEach((_, i) => (this.values[i].textContent = this.format(this.series[i].at(-1))));
    this.svg.setAttribute("aria-label", `${words.join(", ")}; at most ${this.format(most)} in the last two minutes`);
    this.top.textContent = `most ${this.format(most)}`;
  }

  path(series, top) {
    const step = WIDTH / (SPAN - 1);
    let path = "";
    let isDrawing = false;
    series.forEach((value, i) => {
      if (value === undefined || value === null) return void (isDrawing = false);
      const x = WIDTH - (series.length - 1 - i) * step;
      path += `${isDrawing ? "L" : "M"}${x.toFixed(1)} ${(HEIGHT - (value / top) * HEIGHT).toFixed(1)}`;
      isDrawing = true;
    });
    return path;
  }
}

function make(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
