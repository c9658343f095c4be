// Keys, panel and reveal of `curate review`. Loaded by FiftyOne as a plain script; talks to /curate/ alone.
(() => {
  "use strict";
  if (window.__curate) return;
  window.__curate = { busy: false, revealed: null, acts: 0 };
  const here = window.__curate;
  let about = null, state = null, since = performance.now(), hidden = 0, hiddenAt = null, purged = null, last = null;

  // -- talking ---------------------------------------------------------------------------------------------------

  const current = () => new URLSearchParams(location.search).get("id");
  const nonce = () => crypto.randomUUID();
  const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

  async function ask(name, body, tries = 4) {
    // The same nonce goes with every try: what was recorded is not recorded twice.
    for (let n = 1; ; n++) {
      let answer = null;
      try {
        answer = await fetch("/curate/" + name, body === undefined ? { cache: "no-store" } : {
          method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
        });
      } catch (error) {
        if (n >= tries) throw new Error("The server does not answer: nothing was recorded. Start `curate review` again.");
        tell("No answer; trying again ...", "warn");
        await sleep(250 * n * n);
        continue;
      }
      const data = await answer.json().catch(() => ({}));
      if (answer.ok) return data;
      const error = new Error(data.error || (answer.status === 403 ? "This tab's session is over: open the new address." : "Refused (" + answer.status + ")"));
      error.status = answer.status;
      throw error;
    }
  }

  // -- going on --------------------------------------------------------------------------------------------------

  const press = (key) => document.dispatchEvent(new KeyboardEvent("keydown", { key, code: key, bubbles: true }));

  const to = (id) => ({ id, hasNext: true, hasPrevious: true });
  const walk = async (way) => to((await ask("state?id=" + current(), undefined, 1))[way]);
  // What FiftyOne asks where an arrow leads; it has none of its own for a picture that was opened by its address.
  const ours = { next: () => walk("after"), previous: () => walk("before"), peek: async () => null };

  async function step(key, patience) {
    const before = current();
    press(key);
    for (let waited = 0; waited < patience; waited += 10) {
      if (current() !== before) return true;
      await sleep(10);
    }
    return false;
  }

  async function goTo(id) {
    if (!id || id === current()) return;
    const navigation = window.__fos__ && window.__fos__.modalNavigation;
    if (!navigation) return open(id);
    const usual = navigation.get();
    const there = async () => to(id);
    navigation.set({ next: there, previous: there, peek: async () => null });
    const moved = (await step("ArrowRight", 1000)) || (await step("ArrowLeft", 1000));
    navigation.set(usual || ours);
    if (!moved || current() !== id) open(id);
  }

  function open(id) {
    location.replace(location.pathname + (id ? "?id=" + id : ""));
  }

  async function leave() {
    // FiftyOne closes a picture at a click beside it, but not at Escape where it was opened by its address.
    obscure();
    const beside = document.elementFromPoint(4, innerHeight / 2);
    for (const kind of ["pointerdown", "mousedown", "pointerup", "mouseup", "click"]) {
      if (beside) beside.dispatchEvent(new MouseEvent(kind, { bubbles: true, cancelable: true, clientX: 4, clientY: innerHeight / 2 }));
    }
    await sleep(500);
    if (current()) open(null);
  }

  function arrived() {
    const navigation = window.__fos__ && window.__fos__.modalNavigation;
    if (navigation && current() && !navigation.get()) navigation.set(ours);
    obscure();
    since = performance.now();
    hidden = 0;
    refresh();
  }

  async function refresh() {
    try {
      take(await ask("state" + (current() ? "?id=" + current() : ""), undefined, 1));
    } catch (error) {
      tell(error.message, "warn");
    }
  }

  function take(found) {
    state = found;
    if (purged !== null && found.purged !== purged && !here.busy) open(found.item ? found.item.id : found.next);
    if (!here.busy) purged = found.purged;
    if (found.item === null && current() && !here.busy && found.next) open(found.next);
    draw();
  }

  // -- deciding --------------------------------------------------------------------------------------------------

  async function act(name, body) {
    if (here.busy) return;
    panel.host.dataset.busy = here.busy = true;
    obscure();
    const started = performance.now();
    try {
      const found = await ask(name, { ...body, nonce: nonce() });
      state = found;
      if (found.already) tell("Was decided already: " + found.already, "warn");
      if (name === "undo") {
        tell(found.undone ? "Taken back" : "Nothing to take back");
        if (found.id && found.purged === purged) await goTo(found.id);
        else if (found.id) open(found.id);
      } else if (found.purged !== purged) {
        open(found.next); // what may not be seen again leaves the page's memory with the page
        return;
      } else if (found.next) {
        await goTo(found.next);
      } else {
        tell("The queue is done. Thank you.");
      }
      here.last = performance.now() - started;
    } catch (error) {
      tell(error.message, "warn");
      if (error.status === 410) open(state && state.next);
    } finally {
      panel.host.dataset.busy = here.busy = false;
      panel.host.dataset.acts = ++here.acts;
      arrived();
    }
  }

  function seconds() {
    const away = hiddenAt === null ? 0 : performance.now() - hiddenAt;
    return Math.max(0, performance.now() - since - hidden - away) / 1000;
  }

  function decide(label) {
    const was = state && state.item && state.item.id === current() ? state.item.label : null;
    act("decide", { id: current(), label, seconds: seconds(), was });
  }

  function escalate() {
    act("escalate", { id: current(), reason: "escalated in review: possible minor, or non-consensual" });
  }

  // -- revealing: as long as the key is held ---------------------------------------------------------------------

  async function reveal() {
    if (here.revealed || here.busy || !current()) return;
    const wanted = (here.revealed = { id: current(), image: null });
    try {
      const { url } = await ask("reveal", { id: wanted.id, nonce: nonce() }, 1);
      if (here.revealed !== wanted) return;
      const image = new Image();
      image.className = "original";
      image.alt = "";
      image.src = url;
      wanted.image = image;
      panel.veil.replaceChildren(image);
      panel.veil.hidden = false;
    } catch (error) {
      here.revealed = null;
      tell(error.message, "warn");
    }
  }

  function obscure() {
    if (!here.revealed) return;
    here.revealed = null;
    panel.veil.hidden = true;
    panel.veil.replaceChildren();
    fetch("/curate/obscure", { method: "POST", headers: { "content-type": "application/json" }, body: "{}", keepalive: true }).catch(() => {});
    refresh();
  }

  // -- keys ------------------------------------------------------------------------------------------------------

  const typing = (target) => target && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName || ""));

  function keydown(event) {
    if (!event.isTrusted || event.ctrlKey || event.altKey || event.metaKey || typing(event.target) || !about) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (key === "h" || key === "?") { swallow(event); if (!event.repeat) toggle(); return; }
    if (!current()) return; // in the grid, FiftyOne's own keys
    if (key === "Escape") { swallow(event); if (!event.repeat) leave(); return; }
    const digit = /^[1-9]$/.test(key) ? about.classes[Number(key) - 1] : undefined;
    const acts = {
      u: () => decide("unsure"), s: () => act("skip", { id: current() }), z: () => act("undo", {}),
      n: () => act("decline", { id: current() }), x: escalate, r: reveal,
    };
    const chosen = digit ? () => decide(digit) : acts[key];
    if (/^[0-9]$/.test(key) || acts[key]) swallow(event);
    if (chosen && !event.repeat && !paused()) chosen();
  }

  function swallow(event) {
    event.preventDefault();
    event.stopImmediatePropagation();
  }

  const paused = () => Boolean(state && state.pause_until && state.pause_until * 1000 > Date.now());

  // -- the panel -------------------------------------------------------------------------------------------------

  const STYLE = `
    :host { all: initial; }
    * { box-sizing: border-box; font: 13px/1.45 system-ui, sans-serif; }
    [hidden] { display: none !important; }
    .panel { position: fixed; left: 48px; bottom: 48px; z-index: 100000; width: 300px; max-height: 80vh; overflow: auto;
      background: #16191dee; color: #e8eaed; border: 1px solid #3c4148; border-radius: 8px; padding: 10px 12px; }
    .panel.aside { left: auto; right: 28px; }
    .top { display: flex; justify-content: space-between; gap: 8px; }
    .top b { font-weight: 600; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
    .bar { height: 4px; background: #3c4148; border-radius: 2px; margin: 8px 0; }
    .bar i { display: block; height: 4px; background: #6ea8fe; border-radius: 2px; }
    .facts { color: #aab0b8; } .item { margin-top: 4px; } .say { margin-top: 6px; color: #9ad1a5; } .say.warn { color: #ffb86b; }
    .keys { margin-top: 8px; display: grid; grid-template-columns: 30px 1fr; gap: 3px 8px; }
    kbd { background: #2b3036; border: 1px solid #50565e; border-radius: 4px; text-align: center; font-size: 12px; align-self: start; }
    .guide { white-space: pre-wrap; margin-top: 8px; padding-top: 8px; border-top: 1px solid #3c4148; }
    button { margin-top: 8px; background: none; color: #aab0b8; border: 1px solid #50565e; border-radius: 4px; padding: 2px 8px; cursor: pointer; }
    .veil { position: fixed; inset: 0; z-index: 99999; background: #000; display: flex; align-items: center; justify-content: center; }
    .veil img { max-width: 100vw; max-height: 100vh; }
    .rest { position: fixed; inset: 0; z-index: 100001; background: #16191d; color: #e8eaed; display: flex; align-items: center;
      justify-content: center; text-align: center; white-space: pre-line; font-size: 18px; }
  `;

  const panel = build();

  function element(tag, name, parent, text) {
    const made = document.createElement(tag);
    made.className = name;
    if (text !== undefined) made.textContent = text;
    parent.append(made);
    return made;
  }

  function build() {
    const host = document.createElement("div");
    host.id = "curate-review";
    const root = host.attachShadow({ mode: "open" });
    element("style", "", root, STYLE);
    const veil = element("div", "veil", root);
    const rest = element("div", "rest", root);
    veil.hidden = rest.hidden = true;
    const box = element("div", "panel", root);
    const top = element("div", "top", box);
    const parts = {
      host, veil, rest, box, queue: element("b", "", top), left: element("span", "", top),
      fill: element("i", "", element("div", "bar", box)), facts: element("div", "facts", box),
      item: element("div", "item", box), say: element("div", "say", box), more: element("div", "more", box),
    };
    document.body.append(host);
    return parts;
  }

  function tell(text, kind = "") {
    panel.say.textContent = text;
    panel.say.className = "say " + kind;
  }

  function help() {
    const keys = element("div", "keys", panel.more);
    const rows = about.classes.slice(0, 9).map((name, n) => [String(n + 1), name]);
    rows.push(["u", "unsure"], ["s", "skip: comes again, last"], ["n", "not for me: goes to others"], ["r", "hold: show the original"],
      ["z", "take the last one back"], ["x", "escalate: possible minor, or non-consensual"], ["h", "hide or show this"], ["esc", "the grid"]);
    for (const [key, what] of rows) {
      element("kbd", "", keys, key);
      element("span", "", keys, what);
    }
    if (about.guideline) element("div", "guide", panel.more, about.guideline);
    const end = element("button", "", panel.more, "End the session");
    end.addEventListener("click", async () => {
      try { await ask("close", {}, 1); } catch (error) { /* it is closed */ }
      document.body.textContent = "The session is closed. You can close this tab.";
    });
  }

  const toggle = () => { panel.more.hidden = !panel.more.hidden; };

  function draw() {
    if (!about || !state) return;
    const all = state.left + state.done;
    panel.box.classList.toggle("aside", !current() || Boolean(state.item && state.item.sheet)); // over neither the grid's filters nor a sheet's members
    panel.queue.textContent = about.queue + " · " + about.reviewer;
    panel.left.textContent = state.done + " of " + all;
    panel.fill.style.width = (all ? (100 * state.done) / all : 100) + "%";
    const pace = state.pace === null ? "" : state.pace.toFixed(1) + " s each · about " + Math.ceil((state.pace * state.left) / 60) + " min left · ";
    panel.facts.textContent = pace + Math.round(state.minutes) + " min at it · " + state.reveals + " revealed" + (state.gone ? " · " + state.gone + " gone" : "") + (about.unobscured ? " · unobscured" : "") +
      (state.recent ? " · the last " + state.recent.n + " decisions changed " + state.recent.changed + (state.recent.changed === 1 ? " label" : " labels") : "");
    panel.item.textContent = !state.item ? (current() ? "" : "Open a picture to judge it by key; tag pictures to judge several.") : state.item.label ? "Decided: " + state.item.label : !state.item.pending ? "Not asked of you" : state.item.sheet ? "A sheet of " + state.item.sheet + " alike: one class for all of them; u where they are not one thing." : "";
    panel.rest.hidden = !paused();
    if (paused()) {
      obscure();
      panel.rest.textContent = "A pause until " + new Date(state.pause_until * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }) + ".\nLook at something else; everything is kept.";
      here.rested = true;
    } else if (here.rested) open(current());
  }

  // -- start -----------------------------------------------------------------------------------------------------

  window.addEventListener("keydown", keydown, true);
  window.addEventListener("keyup", (event) => { if (event.key.toLowerCase() === "r") obscure(); }, true);
  window.addEventListener("blur", obscure);
  window.addEventListener("pagehide", obscure);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { obscure(); hiddenAt = performance.now(); }
    else if (hiddenAt !== null) { hidden += performance.now() - hiddenAt; hiddenAt = null; }
  });
  setInterval(() => { if (current() !== last) { last = current(); if (!here.busy) arrived(); } }, 100);
  setInterval(() => { if (!here.busy) refresh(); }, 5000);
  (async () => {
    about = await ask("about", undefined, 10);
    help();
    await refresh();
    purged = state ? state.purged : null;
    arrived();
    panel.host.dataset.ready = here.ready = true;
  })().catch((error) => tell(error.message, "warn"));
})();
