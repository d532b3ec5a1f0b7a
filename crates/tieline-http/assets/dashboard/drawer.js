// What is opened at the right: one view at a time, loaded anew each second, with an address of its own.

import { element } from "./format.js";

const dialog = document.getElementById("detail");
let shown;
let isLoading = false;

/**
 * Opens a view: `hash` is its address, `title`, `content` and more what stands there, `load()` asks for it, `show(found)` puts
 * it there, `gone(error)` says that there is none.
 */
export function open(view) {
  shown = view;
  const close = element("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, "Close ", element("kbd", {}, "Esc"));
  const title = element("h2", { id: "detail-title", tabindex: -1 }, view.title);
  dialog.replaceChildren(element("div", { class: "top" }, element("div", {}, view.crumb, title, view.below), element("div", { class: "actions" }, view.action, close)), ...view.content);
  dialog.scrollTop = 0;
  if (location.hash !== view.hash) history.pushState(null, "", view.hash);
  if (!dialog.open) dialog.showModal();
  title.focus();
  refresh();
}

/** Asks anew for what is open. */
export async function refresh() {
  if (!dialog.open || !shown || shown.isOver || isLoading) return;
  isLoading = true;
  const view = shown;
  try {
    const found = await view.load();
    if (view === shown) view.show(found);
  } catch (error) {
    if (view === shown) view.gone(error);
  } finally {
    isLoading = false;
  }
  // What was opened meanwhile doesn't wait for another second.
  if (shown && view !== shown) refresh();
}

export function close() {
  dialog.close();
}

dialog.addEventListener("close", () => {
  shown = undefined;
  if (location.hash.startsWith("#/")) history.pushState(null, "", location.pathname);
});

// A click beside it closes it.
dialog.addEventListener("click", (event) => {
  if (event.target === dialog && event.clientX < dialog.getBoundingClientRect().left) dialog.close();
});
