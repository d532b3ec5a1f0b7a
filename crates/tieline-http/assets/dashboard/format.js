// Figures as people read them, and the elements that show them.

export function count(value) {
  if (!isKnown(value)) return "–";
  if (value < 10 && value !== Math.trunc(value)) return value < 0.05 ? "<0.1" : value.toFixed(1);
  return Math.round(value).toLocaleString("en");
}

export function bytes(value) {
  if (!isKnown(value)) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value >= 100 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** Of seconds. */
export function time(seconds) {
  if (!isKnown(seconds)) return "–";
  if (seconds < 0.001) return `${Math.round(seconds * 1e6)} µs`;
  if (seconds < 1) return `${seconds < 0.01 ? (seconds * 1e3).toFixed(1) : Math.round(seconds * 1e3)} ms`;
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.floor(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** One request waits, two requests wait. */
export function waits(waiting) {
  return waiting === 1 ? "1 request waits" : `${count(waiting)} requests wait`;
}

const isKnown = (value) => value !== undefined && value !== null && !Number.isNaN(value);

/** An element with attributes and children; text is always text, never markup. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== undefined && child !== null));
  return made;
}

/** Sets a text that may have changed; what has not is left alone, with what a person has marked of it. */
export function say(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

/** What a person may type elsewhere, with a button that copies it. */
export function command(text, place = element("span", { class: "command" })) {
  const code = element("code", {}, text);
  const button = element("button", { type: "button", "aria-label": `Copy: ${text}` }, "Copy");
  button.addEventListener("click", async (event) => {
    event.stopPropagation();
    const isCopied = await copy(code);
    button.textContent = isCopied ? "Copied" : "Marked";
    setTimeout(() => (button.textContent = "Copy"), 2000);
  });
  place.replaceChildren(code, button);
  return place;
}

/** A page from another machine without TLS may not use the clipboard: then the text is marked, to be copied by hand. */
async function copy(code) {
  try {
    await navigator.clipboard.writeText(code.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(code);
    return document.execCommand("copy");
  }
}

/** The words that start what is missing on a channel. */
export function startReceiver(channel) {
  const plain = /^[A-Za-z0-9_./:@%+,=-]+$/.test(channel) && !channel.startsWith("-");
  const name = plain ? channel : `'${channel.replaceAll("'", "'\\''")}'`;
  return `tieline receive ${channel.startsWith("-") ? "-- " : ""}${name} -- CMD`;
}
