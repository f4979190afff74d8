// The console: asks /admin/ and shows what it says. No library, nothing from elsewhere; every text goes through textContent.
'use strict';

const VIEWS = ['requests', 'table', 'health', 'spend', 'reloads', 'explain'];
const EVERY = 1000; // milliseconds between two looks
const KEPT = 512; // as many as the gateway keeps
const TOKEN = 'routeplane-token';
const SVG = 'http://www.w3.org/2000/svg';

const at = (id) => document.getElementById(id);
const state = { view: 'requests', requests: [], last: 0, chosen: null, paused: false, generation: null, table: null };

/** An element with attributes and children; texts are texts, never markup. */
function el(name, attributes = {}, ...children) {
  const made = /^(svg|g|rect|text|path|title)$/.test(name) && attributes.svg !== false
    ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === 'svg' || value === undefined || value === null || value === false) continue;
    if (key.startsWith('on')) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? '' : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ''));
  return made;
}

// === asking

class NeedsToken extends Error {}

async function ask(path, body) {
  const headers = { 'x-routeplane-admin': '1' };
  const token = sessionStorage.getItem(TOKEN);
  if (token) headers.authorization = `Bearer ${token}`;
  if (body !== undefined) headers['content-type'] = 'application/json';
  const options = { method: body === undefined ? 'GET' : 'POST', headers, body, cache: 'no-store' };
  const answer = await fetch(path, options);
  if (answer.status === 401) throw new NeedsToken();
  const json = await answer.json();
  if (!answer.ok) throw new Error(json.error?.message ?? `${path}: HTTP ${answer.status}`);
  return json;
}

function wantToken() {
  const dialog = at('token-dialog');
  if (dialog.open) return;
  at('token').value = '';
  dialog.showModal();
}

// === words

const number = new Intl.NumberFormat('en');
const count = (value) => (value === undefined || value === null ? '' : number.format(value));
const money = (usd) => (usd === undefined || usd === null ? '' : `$${usd.toFixed(usd >= 1 ? 2 : usd >= 0.001 ? 4 : 6)}`);
const millis = (ms) => {
  if (ms === undefined || ms === null) return '';
  if (ms < 1) return `${ms.toFixed(2)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return ms < 60000 ? `${(ms / 1000).toFixed(2)} s` : `${Math.floor(ms / 60000)} min ${Math.round((ms % 60000) / 1000)} s`;
};
const clock = (time) => new Date(time).toLocaleTimeString([], { hour12: false });
const plural = (many, one) => `${count(many)} ${one}${many === 1 ? '' : 's'}`;

const OUTCOMES = {
  ok: ['good', 'ok'], refused: ['warn', 'refused'], failed: ['bad', 'failed'], broke_off: ['bad', 'broke off'],
  caller_left: ['warn', 'caller left'], cut_off: ['bad', 'cut off'],
};

function outcome(record) {
  const [mood, word] = OUTCOMES[record.outcome] ?? ['', record.outcome];
  return el('span', { class: `mark ${mood}` }, `${record.status} ${word}`);
}

const tokens = (usage) => (usage ? `${count(usage.input ?? usage.input_tokens ?? 0)} / ${count(usage.output ?? usage.output_tokens ?? 0)}` : '');
const used = (record) => record.usage ?? record.usage_estimated;
const cost = (record) => {
  const usd = record.cost_usd === undefined && record.cost_estimated_usd === undefined
    ? undefined : (record.cost_usd ?? 0) + (record.cost_estimated_usd ?? 0);
  return usd === undefined ? '' : (record.cost_estimated_usd ? '≈ ' : '') + money(usd);
};
const why = (record) => (record.rule ? `rule ${record.rule}` : record.route ?? '');

// === requests

function shown(record) {
  const wanted = at('filter').value.trim().toLowerCase();
  if (at('only-bad').checked && record.outcome === 'ok') return false;
  if (!wanted) return true;
  const texts = [record.request_id, record.model, record.target, record.route, record.key, record.protocol, record.error?.code];
  return texts.some((text) => text?.toLowerCase().includes(wanted));
}

function row(record) {
  const chosen = state.chosen === record.number;
  const fallbacks = record.attempts.length > 1 ? el('span', { class: 'warn' }, ` after ${record.attempts.length - 1}`) : null;
  return el('tr', {
    'data-number': record.number, 'aria-selected': String(chosen), tabindex: chosen ? 0 : -1,
    onclick: () => choose(record.number),
  },
  el('td', {}, clock(record.time)), el('td', {}, outcome(record)), el('td', {}, record.model ?? ''),
  el('td', {}, record.target ?? '', fallbacks), el('td', {}, why(record)),
  el('td', { class: 'n' }, tokens(used(record))), el('td', { class: 'n' }, cost(record)),
  el('td', { class: 'n' }, millis(record.first_ms)), el('td', { class: 'n' }, millis(record.total_ms)));
}

function drawRequests() {
  const list = state.requests.filter(shown);
  const body = at('requests').tBodies[0];
  const focused = body.contains(document.activeElement);
  body.replaceChildren(...list.map(row));
  if (focused) body.querySelector('[aria-selected="true"]')?.focus();
  if (body.firstChild && !body.querySelector('[tabindex="0"]')) body.firstChild.tabIndex = 0;
  at('no-requests').hidden = state.requests.length > 0;
  at('count').textContent = state.requests.length === 0 ? ''
    : `${list.length === state.requests.length ? '' : `${list.length} of `}${plural(state.requests.length, 'request')}`;
}

function choose(chosen, focus = true) {
  state.chosen = chosen;
  drawRequests();
  const record = state.requests.find((one) => one.number === chosen);
  if (record) at('detail').replaceChildren(...detail(record));
  const line = at('requests').querySelector('[aria-selected="true"]');
  if (focus) line?.focus();
  line?.scrollIntoView({ block: 'nearest' });
}

function facts(pairs) {
  const filled = pairs.filter(([, value]) => value !== undefined && value !== null && value !== '');
  return el('dl', {}, filled.flatMap(([name, value]) => [el('dt', {}, name), el('dd', {}, value)]));
}

/** One try as a bar within the time of the whole request. */
function bar(tried, total) {
  const scale = (ms) => (100 * ms) / Math.max(total, 0.001);
  const end = tried.end_ms ?? total;
  const ok = tried.cause === 'ok';
  return el('svg', { class: 'time', viewBox: '0 0 100 10', preserveAspectRatio: 'none', role: 'img',
    'aria-label': `from ${millis(tried.start_ms)} to ${millis(end)}` },
  el('rect', { class: 'whole', x: 0, y: 4, width: 100, height: 2 }),
  el('rect', { class: `try${ok ? '' : ' bad'}`, x: scale(tried.start_ms), y: 0, width: Math.max(scale(end - tried.start_ms), 0.5), height: 10 }),
  tried.first_ms === undefined ? null : el('rect', { class: 'first', x: Math.min(scale(tried.first_ms), 99.2), y: 0, width: 0.8, height: 10 }));
}

function step(mood, ...inside) {
  return el('li', { class: mood }, ...inside);
}

function attemptStep(tried, total) {
  const ok = tried.cause === 'ok';
  const words = [tried.lane, ok ? '' : tried.cause, tried.status && !ok ? `HTTP ${tried.status}` : '',
    tried.first_ms !== undefined ? `first content after ${millis(tried.first_ms - tried.start_ms)}` : '',
    tried.end_ms !== undefined ? `${millis(tried.end_ms - tried.start_ms)} in all` : ''];
  return step(ok ? 'good' : 'bad', el('b', {}, tried.target), el('div', { class: 'quiet' }, words.filter(Boolean).join(' · ')),
    bar(tried, total), tried.losses?.length ? el('div', { class: 'warn' }, `lost: ${tried.losses.join(', ')}`) : null);
}

function detail(record) {
  const usage = used(record);
  const tags = Object.entries(record.tags ?? {});
  const known = Object.entries(record.facts ?? {}).filter(([, value]) => value !== null);
  return [
    el('h2', {}, `${record.model ?? 'a request'} `, outcome(record)),
    facts([['id', el('code', {}, record.request_id)], ['at', new Date(record.time).toLocaleString()],
      ['as', `${record.protocol} ${record.operation}${record.stream ? ', streamed' : ''}`], ['key', record.key],
      ['generation', String(record.generation)]]),
    el('h3', {}, 'How it was decided'),
    el('ol', { class: 'path' },
      step(record.rule ? 'good' : '', record.rule ? `rule ${record.rule} fired` : 'no rule fired'),
      record.route ? step('', 'route ', el('b', {}, record.route),
        record.decided_ms === undefined ? null : el('span', { class: 'quiet' }, ` after ${millis(record.decided_ms)}`)) : null,
      (record.skipped ?? []).map((skipped) => step('warn', el('b', {}, skipped.target), el('div', { class: 'quiet' }, `left out: ${skipped.reason}`))),
      record.attempts.map((tried) => attemptStep(tried, record.total_ms)),
      record.error ? step('bad', `error of the ${record.error.origin}: `, el('code', {}, record.error.code ?? 'without a code')) : null),
    el('h3', {}, 'What it took'),
    facts([['tokens', usage ? `${tokens(usage)}${record.usage ? '' : ' (estimated)'}` : ''],
      ['of these', usageParts(usage)], ['cost', cost(record)], ['model', record.response_model],
      ['finished', (record.finish_reasons ?? []).join(', ')], ['first content', millis(record.first_ms)],
      ['total', millis(record.total_ms)], ['bytes', `${count(record.bytes_in)} in, ${count(record.bytes_out)} out`]]),
    known.length ? el('h3', {}, 'What rules could know') : null,
    known.length ? facts(known.map(([name, value]) => [name, String(value)])) : null,
    tags.length ? el('h3', {}, 'Tags') : null,
    tags.length ? facts(tags) : null,
  ].filter((one) => one !== null);
}

function usageParts(usage) {
  const parts = Object.entries(usage ?? {}).filter(([name, value]) => value && !/^(input|output)(_tokens)?$/.test(name));
  return parts.map(([name, value]) => `${count(value)} ${name.replaceAll('_', ' ')}`).join(', ');
}

async function pollRequests() {
  if (state.paused) return;
  const { requests } = await ask(`/admin/requests?after=${state.last}&limit=${KEPT}`);
  if (requests.length === 0) return;
  state.last = requests[0].number;
  state.requests = [...requests, ...state.requests].slice(0, KEPT);
  drawRequests();
}

// === table

/** The targets of a route in order, without repetition. */
function targetsOf(route) {
  if (!route || typeof route !== 'object') return [];
  if (Array.isArray(route)) return [...new Set(route.flatMap(targetsOf))];
  if (typeof route.target === 'string') return [route.target];
  return [...new Set(Object.values(route).flatMap(targetsOf))];
}

function tree(route) {
  if (typeof route === 'string') return el('li', {}, route.replaceAll('_', ' '));
  if (route.target !== undefined) {
    return el('li', {}, el('b', {}, route.target ?? ''), route.settings?.length ? el('div', { class: 'quiet' }, route.settings.join(' · ')) : null);
  }
  if (route.as_requested) return el('li', {}, 'what the caller asked for');
  if (route.deny) return el('li', { class: 'bad' }, `denied with ${route.deny.status}${route.deny.text ? `: ${route.deny.text}` : ''}`);
  if (route.fallback) return el('li', {}, 'in order', el('ul', {}, route.fallback.map(tree)));
  if (route.split) {
    const arm = (one) => el('li', {}, `weight ${one.weight}`, el('ul', {}, tree(one.route)));
    return el('li', {}, `split${route.sticky ? `, sticky by ${route.sticky}` : ''}`, el('ul', {}, route.split.map(arm)));
  }
  if (route.hedge) return el('li', {}, `hedge after ${millis(route.after_ms)}`, el('ul', {}, route.hedge.map(tree)));
  if (route.shadow) return el('li', {}, `shadow, ${route.sample_percent} %`, el('ul', {}, [tree(route.shadow), tree(route.mirror)]));
  const [name, members] = Object.entries(route)[0] ?? ['', []];
  return el('li', {}, name.replaceAll('_', ' '), el('ul', {}, (Array.isArray(members) ? members : []).map(tree)));
}

function short(text, most) {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}

function drawTable({ generation, table }) {
  state.table = table;
  at('table-id').textContent = `generation ${generation}, table ${table.id.slice(0, 16)}, ${plural(table.providers.length, 'provider')}`;
  const sources = [
    ...table.rules.map((rule) => ({ name: `rule ${rule.number}`, text: rule.text, route: rule.then === 'as_requested' ? 'as_requested' : rule.then.route, note: `line ${rule.line}` })),
    ...Object.entries(table.presets).map(([name, route]) => ({ name: `@${name}`, text: `@${name}`, route })),
  ];
  const targets = [...new Set(sources.flatMap((source) => targetsOf(source.route)))].sort();
  const [left, right, high, gap] = [520, 760, 26, 8];
  const y = (index) => 30 + index * (high + gap);
  const rows = Math.max(sources.length, targets.length, 1);
  const graph = at('graph');
  const width = right + 330;
  graph.setAttribute('viewBox', `0 0 ${width} ${y(rows)}`);
  const boxes = [];
  const target = (name, index) => el('g', { 'data-target': name },
    el('rect', { x: right, y: y(index), width: 320, height: high, rx: 5 }),
    el('text', { x: right + 10, y: y(index) + 17 }, short(name, 44), el('title', {}, name)));
  const edges = (source, index) => targetsOf(source.route).map((name) => {
    const to = y(targets.indexOf(name)) + high / 2;
    const from = y(index) + high / 2;
    return el('path', { 'data-from': index, d: `M${left} ${from} C${left + 110} ${from} ${right - 110} ${to} ${right} ${to}` });
  });
  const pick = (index) => {
    const reached = targetsOf(sources[index].route);
    boxes.forEach((box, other) => box.classList.toggle('chosen', other === index));
    graph.querySelectorAll('path').forEach((path) => path.classList.toggle('chosen', path.dataset.from === String(index)));
    graph.querySelectorAll('[data-target]').forEach((box) => box.classList.toggle('reached', reached.includes(box.dataset.target)));
    const { name, text, note, route } = sources[index];
    at('route').replaceChildren(el('h2', {}, name, note ? el('span', { class: 'quiet' }, ` ${note}`) : null),
      text === name ? '' : el('pre', {}, text), el('ul', { class: 'tree' }, tree(route)));
  };
  const box = (source, index) => {
    const label = source.text === source.name ? source.name : `${source.name}: ${source.text}`;
    const made = el('g', { tabindex: 0, role: 'button', onclick: () => pick(index), onfocus: () => pick(index) },
      el('rect', { x: 4, y: y(index), width: left - 4, height: high, rx: 5 }),
      el('text', { x: 14, y: y(index) + 17 }, short(label, 74), el('title', {}, label)));
    boxes.push(made);
    return made;
  };
  graph.replaceChildren(
    el('text', { class: 'head', x: 4, y: 18 }, sources.length ? 'Rules and presets' : 'No rules and no presets: every model is served as it is asked for'),
    targets.length ? el('text', { class: 'head', x: right, y: 18 }, 'Targets') : '',
    ...sources.flatMap(edges), ...sources.map(box), ...targets.map(target));
}

// === health, spend, reloads

function fill(table, rows) {
  at(table).tBodies[0].replaceChildren(...rows.map((cells) => el('tr', {}, cells.map((cell, index) => el('td', { class: index > 1 ? 'n' : null }, cell)))));
}

const CONDITIONS = { up: 'good', cooling: 'warn', down: 'bad' };

function drawHealth({ targets }) {
  at('no-health').hidden = targets.length > 0;
  at('health').hidden = targets.length === 0;
  fill('health', targets.map((one) => [one.target,
    el('span', { class: `mark ${CONDITIONS[one.condition] ?? ''}` }, one.condition + (one.cooling_ms ? ` for ${millis(one.cooling_ms)}` : '')),
    count(one.in_flight), millis(one.first_token_ms), millis(one.latency_ms), count(one.samples)]));
}

function drawSpend(books) {
  const { total } = books;
  const figure = (name, value) => el('span', {}, el('b', {}, value), name);
  at('spend-total').replaceChildren(figure('spent since the start', money(total.cost_usd)), figure('requests', count(total.requests)),
    figure('did not end well', count(total.failed)), figure('tokens in / out', `${count(total.input_tokens)} / ${count(total.output_tokens)}`));
  const book = (title, names) => {
    const sorted = Object.entries(names).sort(([, a], [, b]) => b.cost_usd - a.cost_usd || b.requests - a.requests);
    const head = el('tr', {}, ['', 'Cost', 'of it estimated', 'Requests', 'not well', 'Tokens in', 'out'].map((name, index) => el('th', { class: index ? 'n' : null }, name)));
    const line = ([name, sums]) => el('tr', {}, el('td', {}, name), [money(sums.cost_usd), sums.estimated_usd ? money(sums.estimated_usd) : '',
      count(sums.requests), count(sums.failed), count(sums.input_tokens), count(sums.output_tokens)].map((text) => el('td', { class: 'n' }, text)));
    return [el('h2', {}, title), sorted.length ? el('table', {}, el('thead', {}, head), el('tbody', {}, sorted.map(line))) : el('p', { class: 'empty' }, 'Nothing yet.')];
  };
  at('spend').replaceChildren(...book('By client key', books.keys), ...book('By model', books.models), ...book('By route', books.routes));
}

/** A finding as the gateway renders it, or its parts. */
function finding(one) {
  if (one.text) return el('li', {}, el('pre', {}, one.text));
  const place = one.labels?.[0];
  return el('li', {}, one.code ? el('code', {}, `${one.code} `) : null, one.message ?? String(one),
    place?.file ? el('span', { class: 'quiet' }, ` ${place.file}:${place.line}:${place.column}`) : null,
    one.help ? el('div', { class: 'quiet' }, one.help) : null);
}

const RESULTS = { ack: ['good', 'live'], nack: ['bad', 'refused'], noop: ['', 'unchanged'] };

function drawReloads({ reloads }) {
  at('reloads').replaceChildren(...reloads.map((one) => {
    const [mood, word] = RESULTS[one.result] ?? ['', one.result];
    const changes = one.changes ?? [];
    return el('li', {}, el('span', { class: `mark ${mood}` }, word), ` ${new Date(one.at).toLocaleString()}`,
      el('span', { class: 'quiet' }, ` ${one.result === 'nack' ? 'generation stays' : 'generation'} ${one.generation}, file `), el('code', {}, one.id.slice(0, 16)),
      changes.length ? el('ul', {}, changes.map((change) => el('li', {}, change))) : null,
      one.errors?.length ? el('ul', {}, one.errors.map(finding)) : null);
  }));
}

// === explain

at('ask-body').value = JSON.stringify({ model: 'auto', messages: [{ role: 'user', content: 'Hello' }] }, null, 2);

async function explain(event) {
  event?.preventDefault();
  const answer = at('answer');
  try {
    const headers = {};
    for (const line of at('ask-headers').value.split('\n').filter((one) => one.trim())) {
      const [name, ...rest] = line.split(':');
      if (rest.length === 0) throw new Error(`\`${line}\` is no header: write \`name: value\``);
      headers[name.trim()] = rest.join(':').trim();
    }
    let body;
    try {
      body = JSON.parse(at('ask-body').value);
    } catch (error) {
      throw new Error(`the body is not JSON: ${error.message}`);
    }
    const said = await ask('/admin/explain', JSON.stringify({ path: at('ask-path').value, headers, body }));
    answer.replaceChildren(...explained(said.explanation, said.generation));
  } catch (error) {
    if (error instanceof NeedsToken) return wantToken();
    answer.replaceChildren(el('p', { class: 'bad' }, error.message));
  }
}

function explained(explanation, generation) {
  const rules = explanation.rules.map((rule) => step(rule.fired ? 'good' : '', `rule ${rule.number} `, el('span', { class: 'quiet' }, `line ${rule.line}`),
    el('pre', {}, rule.text),
    rule.fired ? el('div', { class: 'good' }, 'fired')
      : el('div', { class: 'quiet' }, `not: ${rule.failed.condition}${rule.failed.actual ? `; the request has ${rule.failed.actual}` : ''}`)));
  const { attempts = [], skipped = [], denied, not_found: missing } = explanation.outcome;
  const target = (one, mood, note) => step(mood, el('b', {}, one.target),
    el('div', { class: 'quiet' }, [one.lane, one.reason, one.answers, ...(one.settings ?? []), note].filter(Boolean).join(' · ')),
    one.losses?.length ? el('div', { class: 'warn' }, `loses: ${[one.losses].flat().map((loss) => (typeof loss === 'string' ? loss : JSON.stringify(loss))).join(', ')}`) : null,
    one.refusal ? el('div', { class: 'bad' }, one.refusal) : null);
  return [
    el('h2', {}, explanation.model, el('span', { class: 'quiet' }, ` over ${explanation.protocol}, generation ${generation}`)),
    rules.length ? el('h3', {}, 'Rules') : null,
    rules.length ? el('ol', { class: 'path' }, rules) : null,
    el('h3', {}, `Route ${explanation.route}`),
    el('ol', { class: 'path' },
      denied ? step('bad', `denied with ${denied.status}${denied.text ? `: ${denied.text}` : ''}`) : null,
      missing ? step('bad', missing) : null,
      attempts.map((one, index) => target(one, index === 0 ? 'good' : '', index === 0 ? '' : 'where the one before fails')),
      skipped.map((one) => target(one, 'warn', `left out: ${one.condition}`))),
  ].filter((one) => one !== null);
}

// === the page

async function pollState() {
  const now = await ask('/admin/config/status');
  at('state').textContent = [`version ${now.version}`, `generation ${now.active.generation}`, now.config ?? 'no file', now.listen,
    now.draining ? 'stopping' : ''].filter(Boolean).join(' · ');
  at('drift').hidden = !now.drift;
  if (now.drift) {
    at('drift').replaceChildren(el('b', {}, now.config_missing ? 'The file is gone. ' : 'The file as it is now was refused. '),
      `Generation ${now.active.generation} stays live.`, el('ul', {}, (now.last_error ?? []).map(finding)));
  }
  return now.active.generation;
}

const LOOK = {
  requests: async () => {},
  table: async () => {
    if (state.table && state.tableOf === state.generation) return;
    drawTable(await ask('/admin/table'));
    state.tableOf = state.generation;
  },
  health: async () => drawHealth(await ask('/admin/health')),
  spend: async () => drawSpend(await ask('/admin/spend')),
  reloads: async () => drawReloads(await ask('/admin/reloads')),
  explain: async () => {},
};

async function look() {
  try {
    state.generation = await pollState();
    await pollRequests();
    await LOOK[state.view]();
    document.body.dataset.ready = state.view;
  } catch (error) {
    if (error instanceof NeedsToken) wantToken();
    else at('state').textContent = `The gateway does not answer: ${error.message}`;
  }
}

function show(view, focus = false) {
  // `routeplane console` hands the token over behind `#`, which is sent to nobody.
  if (view.startsWith('token=')) sessionStorage.setItem(TOKEN, view.slice('token='.length));
  state.view = VIEWS.includes(view) ? view : 'requests';
  for (const name of VIEWS) {
    const tab = at(`tab-${name}`);
    at(`view-${name}`).hidden = name !== state.view;
    tab.setAttribute('aria-selected', String(name === state.view));
    tab.tabIndex = name === state.view ? 0 : -1;
  }
  if (location.hash !== `#${state.view}`) history.replaceState(null, '', `#${state.view}`);
  if (focus) at(`tab-${state.view}`).focus();
  look();
}

function move(by) {
  const list = state.requests.filter(shown);
  if (list.length === 0) return;
  const now = list.findIndex((record) => record.number === state.chosen);
  choose(list[Math.min(Math.max(now + by, 0), list.length - 1)].number);
}

document.addEventListener('keydown', (event) => {
  const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
  if (typing && event.key === 'Escape') return event.target.blur();
  if (typing || event.ctrlKey || event.metaKey || event.altKey || at('token-dialog').open) return;
  const onTab = event.target.getAttribute('role') === 'tab';
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (onTab && step) return show(VIEWS[(VIEWS.indexOf(state.view) + step + VIEWS.length) % VIEWS.length], true);
  if (VIEWS[Number(event.key) - 1]) return show(VIEWS[Number(event.key) - 1], true);
  if (state.view !== 'requests') return;
  const by = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
  if (by) {
    event.preventDefault();
    move(by);
  } else if (event.key === '/') {
    event.preventDefault();
    at('filter').focus();
  } else if (event.key === 'p') {
    at('pause').click();
  }
});

VIEWS.forEach((name) => at(`tab-${name}`).addEventListener('click', () => show(name)));
at('filter').addEventListener('input', drawRequests);
at('only-bad').addEventListener('change', drawRequests);
at('pause').addEventListener('click', () => {
  state.paused = !state.paused;
  at('pause').setAttribute('aria-pressed', String(state.paused));
  at('pause').textContent = state.paused ? 'Go on' : 'Pause';
});
at('ask').addEventListener('submit', explain);
at('ask-body').addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) explain(event);
});
at('token-dialog').addEventListener('close', () => {
  sessionStorage.setItem(TOKEN, at('token').value);
  look();
});
window.addEventListener('hashchange', () => show(location.hash.slice(1)));

show(location.hash.slice(1));
setInterval(() => { if (!document.hidden && !at('token-dialog').open) look(); }, EVERY);
