// A live page whose gateway was away for longer than pages are kept has to be made anew. NiceGUI would reload it at once,
// and also when nobody answers in time: where there is nothing to be had, that leaves the reader with the browser's own
// error. Here the page stays until there is another one, in which the reader is put where they were.
"use strict";

const PLACE = "place";
const AGAIN_MS = 1000;
const STEP_MS = 50;
const RESTORED_WITHIN_MS = 5000;
const FOCUSABLE = "a[href], button, input, [tabindex]";

/** What an element is called in any rendering of the page. */
const nameOf = (element) =>
  [element.tagName, element.getAttribute("href") ?? element.getAttribute("aria-label") ?? element.textContent].join(" ");

function placeOfReader() {
  const focused = document.activeElement.matches(FOCUSABLE) ? nameOf(document.activeElement) : null;
  const live = document.querySelector("[data-live=on]") !== null;
  return { url: location.href, top: scrollY, focused, live };
}

function putReader({ top, focused, live }) {
  if (live) document.querySelector("[data-live=off]")?.click();
  const until = performance.now() + RESTORED_WITHIN_MS;
  let moved = false;
  for (const kind of ["wheel", "keydown", "pointerdown"]) addEventListener(kind, () => (moved = true), { once: true });
  // What the page shows comes bit by bit.
  const step = () => {
    if (moved) return;
    if (document.activeElement === document.body) {
      const same = [...document.querySelectorAll(FOCUSABLE)].find((one) => nameOf(one) === focused);
      same?.focus({ preventScroll: true });
    }
    scrollTo(scrollX, top);
    if (Math.abs(scrollY - top) > 1 && performance.now() < until) setTimeout(step, STEP_MS);
  };
  step();
}

async function comeBack() {
  const answer = await fetch(location.href, { cache: "no-store" }).catch(() => null);
  if (answer === null || answer.status >= 500) {
    setTimeout(comeBack, AGAIN_MS);
    return;
  }
  sessionStorage.setItem(PLACE, JSON.stringify(placeOfReader()));
  location.reload();
}

// Everything NiceGUI does with its socket is set up by then.
addEventListener("load", () => {
  const place = JSON.parse(sessionStorage.getItem(PLACE));
  sessionStorage.removeItem(PLACE);
  if (place?.url === location.href) putReader(place);

  const { socket } = window;
  socket.off("connect_error");
  socket.on("connect_error", ({ message }) => {
    if (message === "Implicit handshake failed") comeBack();
    // Something on the way may swallow web sockets.
    if (message === "timeout") socket.io.opts.transports = ["polling", "websocket"];
  });
  // Pictures that broke off do not go on by themselves.
  socket.io.on("reconnect", () => {
    for (const picture of document.querySelectorAll("img[src]")) picture.src = picture.src;
  });
});
