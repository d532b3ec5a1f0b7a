// A request's life: how far it has come, who holds it, what of each body has passed, how much credit is left, and who is
// stalled for how long.

import * as api from "./api.js";
import * as channel from "./channel.js";
import { Chart } from "./chart.js";
import * as drawer from "./drawer.js";
import { bytes, command, element, say, time } from "./format.js";
import { passed, Series } from "./series.js";
import { fill, gauge } from "./tiles.js";

/** Of credit, what fills its gauge: the largest window unless the server says otherwise. */
const WINDOW = 1024 * 1024;

const BLAME = {
  receiver: "the receiver doesn't take more of the request",
  sender: "the sender doesn't take more of the response",
  memory: "the server has no memory left to promise",
};

export function open(id, channelName) {
  const channelId = id.split(".")[2];
  let called = channelName;
  const back = element("button", { type: "button", onclick: () => channel.open(channelId, called) }, called ?? "its channel");
  const word = element("p", { class: "notice", role: "status" });
  const steps = new Steps();
  const ways = { up: new Way("Request →", "sender to receiver"), down: new Way("← Response", "receiver to sender") };
  const parties = { sender: new Party("Sender"), receiver: new Party("Receiver") };
  const facts = new Facts();
  const series = new Series();
  const chart = new Chart({ title: "Bytes a second", names: ["request", "response"], format: bytes, series, isSmall: true });
  let before;
  const view = {
    hash: `#/request/${id}`,
    title: `Request ${api.shortOf(id)}`,
    crumb: element("p", { class: "crumb" }, "← ", back),
    content: [word, steps.place, element("div", { class: "ways" }, parties.sender.place, element("div", { class: "lanes" }, ways.up.place, ways.down.place), parties.receiver.place), chart.figure, element("h3", {}, "Details"), facts.place],
    load: () => api.request(id),
    async show(found) {
      const apart = before ? found.age - before.age : undefined;
      const rate = (way) => (apart > 0 ? Math.max(0, found[way].bytes - before[way].bytes) / apart : undefined);
      const [up, down] = [rate("up"), rate("down")];
      if (apart === undefined || apart > 0.5) {
        series.push(passed(apart ?? 1), up, down);
        chart.draw();
        ways.up.show(found.up, up);
        ways.down.show(found.down, down);
        before = found;
      }
      tell(word, found);
      steps.show(found);
      parties.sender.show(found.sender, "gone", found.stalled?.on === "sender");
      parties.receiver.show(found.receiver, "nobody yet", found.stalled?.on === "receiver");
      facts.show([
        ["Deadline", found.deadline === undefined ? "–" : `in ${time(found.deadline)}`],
        ["Handed out", found.handOuts === 0 ? "not yet" : found.handOuts === 1 ? "once" : `${found.handOuts} times`],
        ["May run twice", found.idempotent ? "yes: it is idempotent" : "no"],
        ["Id", found.requestId],
      ]);
      called ??= await api.channel(channelId).then((found) => found.name, () => undefined);
      if (called) say(back, called);
    },
    gone(error) {
      const isOver = error.status === 404;
      view.isOver = isOver;
      word.className = isOver ? "notice good" : "notice trouble";
      say(word, !isOver ? error.message : before ? "It is over. What stands below is the last that was seen of it." : "It is over, or there never was such a request.");
    },
  };
  drawer.open(view);
}

/** The one sentence that says what it waits for. */
function tell(word, found) {
  const { stalled, state } = found;
  word.className = stalled || state === "waiting" ? "notice warn" : "notice";
  if (stalled) say(word, `Stalled for ${time(stalled.seconds)}: ${BLAME[stalled.on]}.`);
  else say(word, found.sentence);
}

class Steps {
  constructor() {
    this.items = ["Came", "Handed out", "Taken", "Answering"].map((title) => {
      const note = element("span");
      return { note, item: element("li", {}, element("b", {}, title), note) };
    });
    this.place = element("ol", { class: "steps", "aria-label": "How far it has come" }, ...this.items.map(({ item }) => item));
  }

  show(found) {
    const reached = { waiting: 1, "handed-out": 2, sent: 2, accepted: 3, responding: 4 }[found.state];
    const notes = [
      `${time(found.age)} ago`,
      reached > 1 ? (found.waited < 0.0005 ? "at once" : `after ${time(found.waited)}`) : "waits for a free receiver",
      reached > 2 ? "by the receiver's program" : reached === 2 ? (found.state === "sent" ? "it is with the receiver" : "it hasn't left yet") : "",
      reached > 3 ? `first byte after ${time(found.firstByte)}` : reached === 3 ? "no response yet" : "",
    ];
    this.items.forEach(({ item, note }, i) => {
      item.className = [i < reached && "done", i === Math.min(reached, 3) && "now"].filter(Boolean).join(" ");
      if (i === Math.min(reached, 3)) item.setAttribute("aria-current", "step");
      else item.removeAttribute("aria-current");
      say(note, notes[i]);
    });
  }
}

class Party {
  constructor(title) {
    this.who = element("span");
    this.where = element("small");
    this.place = element("div", { class: "party" }, element("b", {}, title), this.who, this.where);
  }

  show(who, missing, isBlamed) {
    this.place.className = `party ${who ? "" : "missing"} ${isBlamed ? "blamed" : ""}`;
    say(this.who, who?.name ?? missing);
    say(this.where, who?.where ?? "");
  }
}

/** A body on its way. */
class Way {
  constructor(title, words) {
    this.badge = element("span");
    this.amount = element("span", { class: "amount" });
    this.rate = element("small");
    this.gauge = gauge();
    this.credit = element("small");
    this.place = element("div", {}, element("h4", {}, element("span", { title: words }, title), this.badge), element("p", {}, this.amount, " ", this.rate), this.gauge, element("p", {}, this.credit));
  }

  show(way, rate) {
    const { stalled } = way;
    this.place.className = stalled ? "lane blamed" : "lane";
    this.badge.className = stalled ? "badge" : "";
    say(this.badge, stalled ? `stalled on ${stalled.on} for ${time(stalled.seconds)}` : way.isClosed ? "complete" : way.bytes ? "open" : "nothing yet");
    say(this.amount, bytes(way.bytes));
    say(this.rate, rate === undefined || way.isClosed ? "" : `${bytes(rate)}/s`);
    fill(this.gauge, way.isClosed ? 0 : way.credit / Math.max(way.credit, WINDOW), stalled ? "warn" : "");
    const held = way.held > 0 ? `, ${bytes(way.held)} held by the server` : "";
    say(this.credit, (way.isClosed ? "all of it has come" : `${bytes(way.credit)} of credit left`) + held);
  }
}

/** Names and values, changed in place: an id that is being marked stays marked. */
class Facts {
  place = element("dl", { class: "facts" });
  #values = new Map();

  show(entries) {
    for (const [name, value] of entries) {
      if (!this.#values.has(name)) {
        const shown = name === "Id" ? command(value) : element("span");
        this.#values.set(name, shown);
        this.place.append(element("dt", {}, name), element("dd", {}, shown));
      }
      if (name !== "Id") say(this.#values.get(name), value);
    }
  }
}
