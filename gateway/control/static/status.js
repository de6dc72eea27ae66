// The status page: asks /api/v1/status once a second and writes what it says into the page.
//
// Rule 1: text enters the page by textContent only, whatever a name in a configuration holds.
// Rule 2: elements are made once and then changed, so that a selection or the focus stays.
"use strict";

const EVERY_MS = 1000;
const STATES = {
  up: "Up", warming_up: "Warming up", full: "Full", probing: "Probing",
  cooling_down: "Cooling down", open: "Breaker open", unhealthy: "Unhealthy",
};
const HEALTH = { ok: "All good", degraded: "Degraded", down: "Down", draining: "Draining" };
const PHASES = {
  pending: ["unknown", "Pending"], running: ["up", "Running"], paused: ["stale", "Paused"],
  confirming: ["stale", "Needs a person"], promoted: ["up", "Promoted"],
  rolled_back: ["down", "Rolled back"], aborted: ["down", "Aborted"],
};
const VERDICTS = {
  pass: ["up", "Pass"], fail: ["down", "Fail"], inconclusive: ["stale", "Inconclusive"],
  not_enough_data: ["unknown", "Not enough data"],
};
const COLOURS = 6;

const at = (id) => document.getElementById(id);
const own = (list) => list.filter((item) => item !== null && item !== undefined);

// Figures in words.

const NONE = "–";
const number = (value, digits = 0) =>
  value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
const rate = (value) => (value === 0 ? "0" : value < 0.1 ? "<0.1" : number(value, value < 10 ? 1 : 0));
const share = (value) => {
  if (value === null) return NONE;
  if (value === 1 || value === 0) return `${value * 100} %`;
  return value > 0.999 ? ">99.9 %" : `${number(value * 100, value >= 0.01 ? 1 : 2)} %`;
};
const seconds = (value) => {
  if (value === null) return NONE;
  if (value < 0.001) return `${number(value * 1e6)} µs`;
  if (value < 0.01) return `${number(value * 1e3, 1)} ms`;
  return value < 1 ? `${number(value * 1e3)} ms` : `${number(value, value < 10 ? 2 : 1)} s`;
};
const pair = (latency) =>
  latency.p50_s === null ? NONE : `${seconds(latency.p50_s)} / ${seconds(latency.p95_s)}`;
const money = (value) =>
  value === 0 ? "$0" : value < 0.01 ? "<$0.01" : `$${number(value, value < 100 ? 2 : 0)}`;
const span = (value) => {
  if (value < 60) return `${Math.floor(value)} s`;
  if (value < 3600) return `${Math.floor(value / 60)} min`;
  if (value < 172800) return `${Math.floor(value / 3600)} h ${Math.floor((value % 3600) / 60)} min`;
  return `${Math.floor(value / 86400)} days`;
};
const ago = (then, now) => {
  const age = Math.max(0, (Date.parse(now) - Date.parse(then)) / 1000);
  return age < 5 ? "just now" : `${span(age)} ago`;
};
const short = (hash) => (hash ? hash.slice(0, 10) : NONE);
const count = (n, one, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`;

// A backend has one colour in all routes.
const colours = new Map();

// Elements.

function make(tag, classes = "", children = []) {
  const element = document.createElement(tag);
  if (classes) element.className = classes;
  element.append(...children);
  return element;
}

function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Keeps one child for each item, in order; `create` makes one, with an `update` of its own.
function keep(parent, items, key, create) {
  const before = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  items.forEach((item, index) => {
    const name = String(key(item));
    const child = before.get(name) ?? create(item);
    before.delete(name);
    child.dataset.key = name;
    child.update(item);
    if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] ?? null);
  });
  before.forEach((child) => child.remove());
}

function cell(label, classes = "", children = []) {
  const td = make("td", classes, children);
  if (label) td.dataset.label = label;
  return td;
}

function figure(td, text, isBad = false) {
  say(td, text);
  td.classList.toggle("is-bad", isBad);
  td.classList.toggle("is-none", text === NONE);
}

function badge() {
  const word = make("span");
  const element = make("span", "state", [make("span", "mark"), word]);
  element.update = (state, text) => {
    element.dataset.state = state;
    say(word, text);
  };
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

function spark(svg, values) {
  if (!svg.firstChild) {
    const area = document.createElementNS(SVG, "path");
    const line = document.createElementNS(SVG, "path");
    for (const [name, value] of [["fill", "currentColor"], ["opacity", "0.13"]]) area.setAttribute(name, value);
    for (const [name, value] of [["fill", "none"], ["stroke", "currentColor"], ["stroke-width", "2"],
      ["stroke-linejoin", "round"]]) line.setAttribute(name, value);
    svg.append(area, line);
  }
  const top = Math.max(...values, 1e-9);
  const points = values.map((value, i) =>
    `${((i * 120) / Math.max(values.length - 1, 1)).toFixed(1)},${(30 - (value / top) * 27).toFixed(1)}`);
  const path = values.length > 1 ? `M${points.join("L")}` : "";
  svg.children[0].setAttribute("d", path && `${path}L120,32L0,32Z`);
  svg.children[1].setAttribute("d", path);
}

// One row of each table.

function backendRow() {
  const name = make("span", "name");
  const under = make("span", "under");
  const state = badge();
  const why = make("span", "why");
  const flight = make("span");
  const fill = make("i");
  const meter = make("span", "meter", [fill]);
  const [attempts, success, first, total, cost] = ["Attempts/s", "Success", "First byte p50 / p95",
    "Total p50 / p95", "Cost/h"].map((label) => cell(label, "n"));
  const row = make("tr", "", [
    cell("", "wide", [name, under]), cell("", "wide", [state, why]),
    cell("In flight", "", [flight, meter]), attempts, success, first, total, cost,
  ]);
  row.update = (backend) => {
    const now = backend.now;
    say(name, backend.name);
    say(under, own([backend.model !== backend.name ? backend.model : null, backend.version || null]).join(" · ") || backend.protocol);
    under.title = backend.url;
    const left = now.cooldown_s > 0 ? ` ${Math.ceil(now.cooldown_s)} s` : "";
    state.update(now.state, STATES[now.state] + left);
    say(why, now.state === "up" ? "" : now.sentence);
    say(flight, now.limit === null ? number(now.in_flight) : `${number(now.in_flight)} of ${number(now.limit)}`);
    meter.hidden = now.limit === null;
    meter.classList.toggle("is-full", now.state === "full");
    fill.style.width = `${Math.min(100, (100 * now.in_flight) / (now.limit || 1))}%`;
    figure(attempts, rate(backend.attempts_per_s));
    figure(success, share(backend.success_share), backend.success_share !== null && backend.success_share < 0.95);
    figure(first, pair(backend.first_byte));
    figure(total, pair(backend.total));
    figure(cost, money(backend.cost_per_hour_usd));
  };
  return row;
}

function candidateLegend() {
  const colour = make("b");
  const name = make("span");
  const part = make("span", "faint");
  const state = make("em");
  const element = make("span", "", [colour, name, part, state]);
  element.update = (candidate) => {
    colour.style.background = `var(--s${candidate.colour})`;
    say(name, candidate.backend);
    say(part, candidate.share === null ? "" : share(candidate.share));
    const isAway = ["open", "unhealthy", "cooling_down", "probing"].includes(candidate.state);
    say(state, isAway ? STATES[candidate.state].toLowerCase() : "");
  };
  return element;
}

function candidateBar() {
  const element = make("i");
  element.update = (candidate) => {
    element.style.background = `var(--s${candidate.colour})`;
    element.style.width = `${100 * (candidate.share ?? 0)}%`;
    element.hidden = !candidate.share;
  };
  return element;
}

function routeRow() {
  const name = make("span", "name");
  const under = make("span", "under");
  const slo = make("span", "under");
  const bar = make("div", "bar");
  const legend = make("div", "legend");
  const [requests, success, queued, first, total, cost] = ["Requests/s", "Success", "Waiting",
    "First byte p50 / p95", "Total p50 / p95", "Cost/h"].map((label) => cell(label, "n"));
  const row = make("tr", "", [
    cell("", "wide", [name, under, slo]), cell("", "wide shares", [bar, legend]),
    requests, success, queued, first, total, cost,
  ]);
  row.update = (route) => {
    const candidates = route.candidates.map((c) => ({ ...c, colour: colours.get(c.backend) ?? 0 }));
    say(name, route.name);
    say(under, route.policy.replaceAll("_", " "));
    slo.hidden = route.slo === null;
    if (route.slo) {
      const met = { true: "met", false: "missed" }[route.slo.is_met] ?? "not measured";
      say(slo, `${route.slo.metric.replace("_", " ")} ${route.slo.quantile} ≤ ${seconds(route.slo.limit_s)}: ${met}`);
      slo.classList.toggle("is-bad", route.slo.is_met === false);
    }
    keep(bar, candidates, (c) => c.backend, candidateBar);
    keep(legend, candidates, (c) => c.backend, candidateLegend);
    figure(requests, rate(route.traffic.requests_per_s));
    figure(success, share(route.traffic.success_share), route.traffic.success_share !== null && route.traffic.success_share < 0.99);
    figure(queued, number(route.traffic.queued), route.queue_max > 0 && route.traffic.queued >= route.queue_max);
    figure(first, pair(route.first_byte));
    figure(total, pair(route.total));
    figure(cost, money(route.traffic.cost_per_hour_usd));
  };
  return row;
}

function workerRow() {
  const state = badge();
  const [name, pid, life] = [make("td", "name"), make("td"), make("td", "n")];
  const plan = make("code");
  const row = make("tr", "", [name, make("td", "", [state]), pid, make("td", "", [plan]), life]);
  row.update = (worker) => {
    say(name, String(worker.slot));
    const word = !worker.is_up ? ["down", "Not running"] : worker.is_current ? ["up", "Up"] : ["stale", "Older plan"];
    state.update(...word);
    say(pid, worker.pid ? String(worker.pid) : NONE);
    say(plan, short(worker.plan));
    say(life, worker.is_up ? `${number(worker.heartbeat_age_s, 1)} s ago` : NONE);
  };
  return row;
}

function changeItem() {
  const state = badge();
  const what = make("span");
  const hash = make("code");
  const when = make("time");
  const detail = make("p", "detail");
  const item = make("li", "", [state, make("span", "", [hash, what]), when, detail]);
  item.update = ({ change, now }) => {
    state.update(change.outcome === "applied" ? "up" : "down", change.outcome === "applied" ? "Applied" : "Refused");
    say(hash, short(change.hash));
    say(what, ` by ${change.author}${change.is_current ? ", in force" : ""}`);
    say(when, ago(change.at, now));
    when.title = change.at;
    say(detail, change.detail.split("\n", 1)[0]);
    detail.hidden = !change.detail;
  };
  return item;
}

// A rollout: where it is, who gets how much, what each gate says.

function stepPip() {
  const element = make("li");
  element.update = (step) => {
    element.dataset.state = step.state;
    say(element, step.words);
  };
  return element;
}

function armRow() {
  const name = make("td", "name");
  const [weight, requests, errors, latency, cost] = ["Weight", "Requests", "Errors", "p50 / p99",
    "Cost a request"].map((label) => cell(label, "n"));
  const row = make("tr", "", [name, weight, requests, errors, latency, cost]);
  row.update = (arm) => {
    say(name, arm.is_out ? `${arm.name} (left)` : arm.name);
    figure(weight, `${number(arm.weight, arm.weight % 1 ? 2 : 0)} %`);
    figure(requests, number(arm.assigned));
    figure(errors, share(arm.error_share));
    figure(latency, arm.p50_s === null ? NONE : `${seconds(arm.p50_s)} / ${seconds(arm.p99_s)}`);
    figure(cost, arm.cost_per_request_usd ? `$${arm.cost_per_request_usd.toPrecision(2)}` : NONE);
  };
  return row;
}

function gateRow() {
  const state = badge();
  const name = make("span", "name");
  const kind = make("span", "under");
  const said = cell("", "said");
  const evidence = cell("e-value", "n");
  const row = make("tr", "", [make("td", "", [name, kind]), make("td", "", [state]), evidence, said]);
  row.update = (gate) => {
    say(name, gate.gate);
    say(kind, `${gate.kind}, ${gate.arm}`);
    state.update(...(VERDICTS[gate.verdict] ?? ["unknown", gate.verdict]));
    figure(evidence, gate.e_value >= 1000 ? ">999" : gate.e_value.toPrecision(2));
    say(said, gate.sentence);
  };
  return row;
}

function table(head, body) {
  const cells = head.map(([label, classes]) => {
    const th = make("th", classes ?? "");
    th.scope = "col";
    say(th, label);
    return th;
  });
  return make("table", "plain", [make("thead", "", [make("tr", "", cells)]), body]);
}

function rolloutItem() {
  const [name, route, since] = [make("h3"), make("span", "faint"), make("span", "faint")];
  const state = badge();
  const [sentence, needs, wrong] = [make("p"), make("p", "faint"), make("p", "is-bad")];
  const steps = make("ol", "steps");
  const [arms, gates] = [make("tbody"), make("tbody")];
  const armTable = table([["Arm"], ["Weight", "n"], ["Requests", "n"], ["Errors", "n"], ["p50 / p99", "n"],
    ["Cost a request", "n"]], arms);
  const gateTable = table([["Gate"], ["Verdict"], ["e-value", "n"], ["Says"]], gates);
  const item = make("article", "rollout", [
    make("header", "", [name, state, route, since]), steps, sentence, needs, wrong, armTable, gateTable,
  ]);
  item.update = ({ rollout, now }) => {
    say(name, rollout.name);
    state.update(...(PHASES[rollout.phase] ?? ["unknown", rollout.phase]));
    say(route, `route ${rollout.route}${rollout.is_dry_run ? ", dry run" : ""}`);
    say(since, rollout.since ? `since ${ago(rollout.since, now)}`.replace(" ago", "") : "");
    say(sentence, rollout.sentence);
    say(needs, rollout.is_ended || rollout.needs === rollout.sentence ? "" : rollout.needs);
    const failed = rollout.shares.filter((one) => one.verdict === "fail" && !rollout.is_ended)
      .map((one) => one.sentence);
    say(wrong, own([rollout.failure || null, ...failed]).join(" "));
    for (const line of [sentence, needs, wrong]) line.hidden = !line.textContent;
    keep(steps, rollout.steps.map((step, index) => ({ ...step, index })), (step) => step.index, stepPip);
    keep(arms, rollout.arms, (arm) => arm.name, armRow);
    keep(gates, rollout.gates, (gate) => `${gate.gate} ${gate.arm}`, gateRow);
    gateTable.hidden = rollout.gates.length === 0;
  };
  return item;
}

const SEVERITIES = { critical: ["down", "Critical"], warning: ["stale", "Warning"], info: ["unknown", "Info"] };

function alertItem() {
  const state = badge();
  const what = make("span");
  const when = make("time");
  const detail = make("p", "detail");
  const item = make("li", "", [state, what, when, detail]);
  item.update = ({ alert, now }) => {
    state.update(...(SEVERITIES[alert.severity] ?? ["unknown", alert.severity]));
    const followers = alert.followers ? `, and what follows: ${alert.followers}` : "";
    say(what, `${alert.route}: ${alert.title}${followers}${alert.is_silent ? " (silent)" : ""}`);
    say(when, ago(alert.opened_at, now));
    when.title = alert.opened_at;
    say(detail, `${alert.sentence} gateway alert show ${alert.id}`);
  };
  return item;
}

function showAlerts(status) {
  const items = status.alerts.map((alert) => ({ alert, now: status.at }));
  at("alerts-panel").hidden = items.length === 0;
  say(at("alerts-sum"), items.length ? count(items.length, "alert") : "");
  keep(at("alerts"), items, ({ alert }) => alert.id, alertItem);
}

function lookRow() {
  const [rule, found, when] = [make("td"), make("td"), make("td", "faint")];
  // Why no link where a token is wanted: a browser that follows one does not send it.
  const name = make(sessionStorage.getItem("token") ? "span" : "a");
  const [route, state] = [make("td", "", [name]), badge()];
  const row = make("tr", "", [route, rule, make("td", "", [state]), found, when]);
  row.update = ({ look, now }) => {
    const more = look.findings - look.named.length;
    say(name, look.route);
    if (name.tagName === "A") {
      const query = look.rule ? `?rule=${encodeURIComponent(look.rule)}` : "";
      name.href = `/api/v1/drift/${encodeURIComponent(look.route)}/report.html${query}`;
    }
    say(rule, look.rule || "–");
    state.update(...(look.findings ? ["stale", "Changed"] : ["up", "As before"]));
    say(found, look.named.join(", ") + (more > 0 ? ` and ${more} more` : ""));
    say(when, ago(look.at, now));
    when.title = look.at;
  };
  return row;
}

function showLooks(status) {
  const items = status.looks.map((look) => ({ look, now: status.at }));
  const changed = status.looks.filter((look) => look.findings).length;
  const notes = status.watch ? status.watch.notes : [];
  at("looks-panel").hidden = items.length === 0 && notes.length === 0;
  say(at("looks-sum"), changed ? `${changed} of ${items.length} found something` : "nothing found");
  say(at("looks-notes"), notes.join(" "));
  at("looks-notes").hidden = notes.length === 0;
  keep(at("looks"), items, ({ look }) => `${look.route} ${look.rule}`, lookRow);
}

function showRollouts(status) {
  const items = status.rollouts.map((rollout) => ({ rollout, now: status.at }));
  const going = status.rollouts.filter((rollout) => !rollout.is_ended).length;
  at("rollouts-panel").hidden = items.length === 0;
  say(at("rollouts-sum"), going ? `${going} under way` : "none under way");
  keep(at("rollouts"), items, ({ rollout }) => rollout.name, rolloutItem);
}

// The page.

function total(routes) {
  const length = Math.max(0, ...routes.map((route) => route.rates_per_s.length));
  return Array.from({ length }, (_, i) =>
    routes.reduce((sum, route) => sum + (route.rates_per_s[i + route.rates_per_s.length - length] ?? 0), 0));
}

function showTop(status) {
  at("health").dataset.state = status.health;
  say(at("health-word"), HEALTH[status.health] ?? status.health);
  say(at("health-sentence"), status.health === "ok" ? "" : status.sentence);
  say(at("version"), status.version);
  document.title = status.health === "ok" ? "Gateway" : `${HEALTH[status.health]} – Gateway`;
  at("failure").hidden = status.failure === null;
  if (status.failure) {
    say(at("failure-by"), `by ${status.failure.author}, ${ago(status.failure.at, status.at)}`);
    say(at("failure-detail"), status.failure.detail);
  }
}

function showTiles(status) {
  const { traffic, workers } = status;
  const up = workers.filter((worker) => worker.is_up).length;
  say(at("t-rate"), rate(traffic.requests_per_s));
  spark(at("t-spark"), total(status.routes));
  figure(at("t-success"), share(traffic.success_share), traffic.success_share !== null && traffic.success_share < 0.99);
  say(at("t-flight"), number(traffic.in_flight));
  say(at("t-queued"), traffic.queued ? `${number(traffic.queued)} waiting` : "none waiting");
  say(at("t-cost"), money(traffic.cost_per_hour_usd));
  figure(at("t-workers"), `${up} of ${workers.length}`, up < workers.length);
  say(at("t-uptime"), `up for ${span(status.uptime_s)}`);
}

function showQuiet(status) {
  const isQuiet = status.routes.length > 0 && status.routes.every((route) => route.totals.requests === 0);
  at("quiet").hidden = !isQuiet;
  if (!isQuiet) return;
  const route = status.routes[0];
  const body = JSON.stringify({ model: route.name, messages: [{ role: "user", content: "Hello" }] });
  const path = route.protocol === "kserve" ? `/v2/models/${route.name}/ready` : "/v1/models";
  const url = status.data_url || "http://127.0.0.1:8080";
  say(at("quiet-try"), route.protocol === "openai"
    ? `curl ${url}/v1/chat/completions -H 'content-type: application/json' -d '${body}'`
    : `curl ${url}${path}`);
}

function show(status) {
  status.backends.forEach((backend, i) => colours.set(backend.name, i % COLOURS));
  showTop(status);
  showTiles(status);
  showQuiet(status);
  showAlerts(status);
  showLooks(status);
  showRollouts(status);
  const up = status.backends.filter((backend) => backend.now.is_up).length;
  say(at("backends-sum"), status.backends.length ? `${up} of ${status.backends.length} take requests` : "");
  say(at("routes-sum"), status.routes.length ? count(status.routes.length, "route") : "");
  say(at("plan"), short(status.plan.hash));
  keep(at("backends"), status.backends, (item) => item.name, backendRow);
  keep(at("routes"), status.routes, (item) => item.name, routeRow);
  keep(at("workers"), status.workers, (item) => item.slot, workerRow);
  const changes = status.changes.map((change) => ({ change, now: status.at }));
  keep(at("changes"), changes, ({ change }) => `${change.at} ${change.hash} ${change.outcome}`, changeItem);
  for (const name of ["backends", "routes", "workers", "changes"]) {
    const isEmpty = status[name].length === 0;
    at(`${name}-none`).hidden = !isEmpty;
    const table = at(name).closest("table");
    if (table) table.hidden = isEmpty;
  }
  at("content").hidden = false;
  at("login").hidden = true;
}

// Asking.

let lastGood = 0;

function showFresh(problem) {
  const age = Math.round((Date.now() - lastGood) / 1000);
  at("fresh").classList.toggle("is-stale", Boolean(problem));
  say(at("fresh"), problem ? (lastGood ? `${problem}; figures are ${age} s old` : problem) : "Live");
}

function askForToken() {
  at("login-wrong").hidden = !sessionStorage.getItem("token");
  sessionStorage.removeItem("token");
  at("content").hidden = true;
  if (at("login").hidden) {
    at("login").hidden = false;
    at("token").focus();
  }
  say(at("health-word"), "Locked");
  at("health").dataset.state = "unknown";
  say(at("fresh"), "");
}

async function ask() {
  const token = sessionStorage.getItem("token");
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  try {
    const answer = await fetch("/api/v1/status", { headers, signal: AbortSignal.timeout(5000) });
    if (answer.status === 401) return askForToken();
    if (!answer.ok) throw new Error(String(answer.status));
    const status = await answer.json();
    lastGood = Date.now();
    show(status);
    showFresh("");
  } catch (error) {
    showFresh(error.message.match(/^\d+$/) ? `The gateway answered ${error.message}` : "The gateway does not answer");
  }
  return undefined;
}

async function run() {
  if (!document.hidden && at("login").hidden) await ask();
  setTimeout(run, EVERY_MS);
}

at("login").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("token", at("token").value);
  at("token").value = "";
  ask();
});
run();
