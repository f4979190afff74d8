// Health, spend, reloads, and the question where a request would go.
'use strict';

// === health

const CONDITIONS = { up: 'good', cooling: 'warn', down: 'bad' };
const ILL = { down: 0, cooling: 1, up: 2 };

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)];

/** What the listed calls say of each target: how its tries ended, and how long they took. */
function triesByTarget(requests) {
  const all = new Map();
  for (const tried of requests.filter((record) => !record.cached).flatMap((record) => record.attempts)) {
    const one = all.get(tried.target) ?? { ok: 0, failed: new Map(), first: [], whole: [] };
    all.set(tried.target, one);
    if (tried.cause === 'ok') {
      one.ok += 1;
      if (known(tried.first_ms)) one.first.push(tried.first_ms - tried.start_ms);
      if (known(tried.end_ms)) one.whole.push(tried.end_ms - tried.start_ms);
    } else if (!/^(outrun|caller_left|refused|rate_limited)$/.test(tried.cause)) {
      const cause = tried.cause === 'status' ? `HTTP ${tried.status}` : tried.cause.replaceAll('_', ' ');
      one.failed.set(cause, (one.failed.get(cause) ?? 0) + 1);
    }
  }
  return all;
}

function drawHealth({ targets }) {
  const tries = triesByTarget(state.requests);
  if (!changed('health', [targets, state.requests[0]?.number])) return;
  at('no-health').hidden = targets.length > 0;
  at('health').hidden = targets.length === 0;
  const sorted = [...targets].sort((a, b) => ILL[a.condition] - ILL[b.condition] || a.target.localeCompare(b.target));
  const cell = (name, label, ...inside) => el('td', { class: name, 'data-label': label }, ...inside);
  const line = (one) => {
    const seen = tries.get(one.target);
    const failed = [...(seen?.failed ?? [])].map(([cause, many]) => `${count(many)} × ${cause}`).join(', ');
    const pause = one.cooling_ms ? ` for ${millis(one.cooling_ms)}` : '';
    return el('tr', {}, cell('name', null, one.target),
      cell('', 'condition', el('span', { class: `mark ${CONDITIONS[one.condition] ?? ''}` }, one.condition + pause)),
      cell('n', 'in flight', count(one.in_flight)), cell('n', 'answered', count(seen?.ok ?? 0)),
      cell('', 'failed', failed ? el('span', { class: 'bad' }, failed) : el('span', { class: 'quiet' }, seen ? '0' : NONE)),
      cell('n', 'first content', seen?.first.length ? millis(median(seen.first)) : NONE),
      cell('n', 'whole answer', seen?.whole.length ? millis(median(seen.whole)) : NONE),
      cell('n', 'average for routing', known(one.first_token_ms) ? millis(one.first_token_ms) : NONE));
  };
  at('health').tBodies[0].replaceChildren(...sorted.map(line));
}

// === spend

const NOBODY = { keys: 'without a client key', models: 'no model answered', routes: 'no route was found' };

function drawSpend(books) {
  if (!changed('spend', books)) return;
  const { total } = books;
  const figure = (name, value) => el('span', {}, el('b', {}, value), name);
  at('spend-total').replaceChildren(figure('spent since the gateway started', money(total.cost_usd)), figure('of it estimated', money(total.estimated_usd)),
    figure('requests', count(total.requests)), figure('refused or failed', count(total.failed)),
    figure('tokens in', count(total.input_tokens)), figure('tokens out', count(total.output_tokens)));
  const columns = ['Cost', 'Of it estimated', 'Requests', 'Refused or failed', 'Tokens in', 'Tokens out'];
  const name = (of, text) => (text === '(none)' ? el('span', { class: 'quiet' }, NOBODY[of]) : text === '(mirrors)' ? el('span', { class: 'quiet' }, 'copies for mirrors') : text);
  const book = (title, what, of) => {
    const sorted = Object.entries(books[of]).sort(([, a], [, b]) => b.cost_usd - a.cost_usd || b.requests - a.requests);
    const head = el('tr', {}, el('th', {}, what), columns.map((column) => el('th', { class: 'n' }, column)));
    const line = ([text, sums]) => el('tr', {}, el('td', { class: 'name' }, name(of, text)),
      [money(sums.cost_usd), sums.estimated_usd ? money(sums.estimated_usd) : NONE, count(sums.requests), count(sums.failed), count(sums.input_tokens), count(sums.output_tokens)]
        .map((value, index) => el('td', { class: 'n', 'data-label': columns[index].toLowerCase() }, value)));
    return [el('h2', {}, title), sorted.length ? el('table', { class: 'cards' }, el('thead', {}, head), el('tbody', {}, sorted.map(line))) : el('p', { class: 'empty' }, 'Nothing yet.')];
  };
  at('spend').replaceChildren(...book('By client key', 'Client key', 'keys'), ...book('By model', 'Model', 'models'), ...book('By preset or other route', 'Route', 'routes'),
    el('p', { class: 'quiet small' }, 'Kept in memory and counted anew with each start; the metrics and the access log last. Answers whose prices nobody knows cost $0 here.'));
}

// === reloads

const RESULTS = { ack: ['good', 'live'], nack: ['bad', 'refused'], noop: ['', 'unchanged'] };

function drawReloads({ reloads }) {
  if (!changed('reloads', reloads)) return;
  at('reloads').replaceChildren(...reloads.map((one) => {
    const [mood, word] = RESULTS[one.result] ?? ['', one.result];
    const changes = one.changes ?? [];
    const became = { ack: `generation ${one.generation} went live`, nack: `generation ${one.generation} stayed live` }[one.result] ?? `generation ${one.generation}`;
    return el('li', {}, el('span', { class: `mark ${mood}` }, word), ` ${fullTime(one.at)} · ${became} `,
      el('span', { class: 'quiet', title: one.id }, `file ${one.id.slice(0, 12)}`),
      changes.length ? el('ul', {}, changes.map((change) => el('li', {}, change))) : null,
      one.errors?.length ? findings(one.errors) : null);
  }));
}

// === explain

at('ask-body').value = JSON.stringify({ model: 'auto', messages: [{ role: 'user', content: 'Hello' }] }, null, 2);

function pretendedHeaders() {
  const headers = {};
  for (const line of at('ask-headers').value.split('\n').filter((one) => one.trim())) {
    const [name, ...rest] = line.split(':');
    if (rest.length === 0) throw new Error(`\`${line}\` is no header: write \`name: value\``);
    headers[name.trim()] = rest.join(':').trim();
  }
  return headers;
}

function pretendedBody() {
  try {
    return JSON.parse(at('ask-body').value);
  } catch (error) {
    throw new Error(`the body is not JSON: ${error.message}`);
  }
}

async function explain(event) {
  event?.preventDefault();
  const answer = at('answer');
  try {
    const question = { path: at('ask-path').value, headers: pretendedHeaders(), body: pretendedBody() };
    const said = await ask('/admin/explain', JSON.stringify(question));
    answer.replaceChildren(...explained(said.explanation, said.generation));
  } catch (error) {
    if (error instanceof NeedsToken) return wantToken();
    answer.replaceChildren(el('p', { class: 'bad' }, error.message));
  }
  answer.scrollIntoView({ block: 'nearest' });
}

function explainedRule(rule) {
  const actual = rule.failed?.actual;
  return step(rule.fired ? 'good' : '', `rule ${rule.number} `, el('span', { class: 'quiet' }, `line ${rule.line}`), el('pre', {}, rule.text),
    rule.fired ? el('div', { class: 'good' }, 'fires')
      : el('div', { class: 'quiet' }, 'does not fire: ', el('code', {}, rule.failed?.condition ?? ''),
        actual ? (actual === 'absent' ? '; the request has none' : ['; the request has ', el('code', {}, actual)]) : ''));
}

function explainedTarget(one, mood, note) {
  const words = [one.lane, one.reason, one.answers, one.hedge_after_ms ? `the next one starts after ${millis(one.hedge_after_ms)}` : '',
    one.mirror ? 'a mirror: it gets a copy' : '', ...(one.settings ?? []), note];
  const losses = (one.losses ?? []).map((it) => (typeof it === 'string' ? loss(it) : `${it.field} (${it.effect}: ${it.reason})`));
  return step(mood, el('b', {}, one.target), el('div', { class: 'quiet' }, words.filter(Boolean).join(' · ')),
    losses.length ? el('div', { class: 'warn' }, `not carried over: ${losses.join(', ')}`) : null,
    one.refusal ? el('div', { class: 'bad' }, one.refusal) : null);
}

function explained(explanation, generation) {
  const { attempts = [], skipped = [], denied, not_found: missing } = explanation.outcome;
  const order = (index) => (index === 0 ? 'asked first' : 'asked where the one before fails');
  const pause = (one) => (one.cooling_ms ? ` for ${millis(one.cooling_ms)}` : '');
  return [
    el('h2', {}, explanation.model, el('span', { class: 'quiet' }, ` as a call of ${explanation.protocol}, by generation ${generation}`)),
    explanation.rules.length ? el('h3', {}, 'Rules') : null,
    explanation.rules.length ? el('ol', { class: 'path' }, explanation.rules.map(explainedRule)) : null,
    el('h3', {}, explanation.route ? `Route ${explanation.route}` : 'Route'),
    el('ol', { class: 'path' },
      denied ? step('bad', `denied with ${denied.status}${denied.text ? `: ${denied.text}` : ''}`) : null,
      missing ? step('bad', missing) : null,
      attempts.map((one, index) => explainedTarget(one, index === 0 ? 'good' : '', order(index))),
      skipped.map((one) => explainedTarget(one, 'warn', `passed over: ${one.condition}${pause(one)}`))),
  ].filter((one) => one !== null);
}
