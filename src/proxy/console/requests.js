// The list of model calls, and the path of the one that is chosen.
'use strict';

const KEPT = 512; // as many as the gateway keeps

const OUTCOMES = {
  ok: ['good', 'ok'], refused: ['warn', 'refused'], failed: ['bad', 'failed'], broke_off: ['bad', 'broke off'],
  caller_left: ['warn', 'caller left'], cut_off: ['bad', 'cut off'],
};

/** Why a try gave no answer, or how its answer ended. */
const CAUSES = {
  refused: 'not sent: the target cannot serve this request', rate_limited: 'not sent: a rate limit of the file', connect: 'no connection',
  connect_timeout: 'no connection in time', first_token_timeout: 'no content in time', deadline: 'the time for the whole request was over',
  broken: 'the connection broke', error_in_stream: 'an error in the stream', truncated: 'the answer ended too early',
  bad_answer: 'the answer could not be read', empty: 'the answer was empty', outrun: 'the other side of the hedge was quicker',
  broke_off: 'the stream broke off', caller_left: 'the caller left', cut_off: 'the gateway stopped',
};

const LANES = { passthrough: 'passed through', translate: 'translated', refused: 'refused' };

function outcome(record) {
  const [mood, word] = OUTCOMES[record.outcome] ?? ['', record.outcome];
  return el('span', { class: `mark ${mood}` }, `${record.status} ${word}`);
}

const used = (record) => record.usage ?? record.usage_estimated;
const tokens = (usage) => (usage ? `${count(usage.input ?? 0)} / ${count(usage.output ?? 0)}` : '');
const usedTokens = (record) => (record.usage || !record.usage_estimated ? '' : '≈ ') + tokens(used(record));

function cost(record) {
  if (!known(record.cost_usd) && !known(record.cost_estimated_usd)) return '';
  return (record.cost_estimated_usd ? '≈ ' : '') + money((record.cost_usd ?? 0) + (record.cost_estimated_usd ?? 0));
}

/** The rule, and the route where the caller did not ask for it by name. */
function why(record) {
  if (!record.rule) return record.route && record.route !== record.model ? record.route : NONE;
  const route = record.route && record.route !== record.model && !record.route.startsWith('rule ') ? ` → ${record.route}` : '';
  return [el('span', { class: 'one' }, `rule ${record.rule}`), route];
}

/** Tries that gave no answer before the last one, without those that were only slower. */
const failures = (record) => record.attempts.slice(0, -1).filter((tried) => tried.cause !== 'outrun').length;

/** What happened on the way to the answer, in a few words. */
function notes(record) {
  const losses = new Set(record.attempts.at(-1)?.losses ?? []).size;
  return [
    record.cached ? el('span', { class: 'good' }, 'from the cache') : null,
    failures(record) ? el('span', { class: 'warn' }, `after ${plural(failures(record), 'failed try', 'failed tries')}`) : null,
    record.skipped?.length ? el('span', { class: 'warn' }, `${count(record.skipped.length)} passed over`) : null,
    record.attempts.some((tried) => tried.cause === 'outrun') ? el('span', { class: 'quiet' }, 'hedged') : null,
    losses ? el('span', { class: 'quiet' }, plural(losses, 'loss', 'losses')) : null,
  ].filter(Boolean).flatMap((note) => {
    note.classList.add('one');
    return [' ', note];
  });
}

function served(record) {
  if (record.outcome === 'refused') return el('span', { class: 'quiet' }, record.error?.code?.replaceAll('_', ' ') ?? NONE);
  if (record.outcome === 'failed') return [el('span', { class: 'quiet' }, `nobody; last ${record.target ?? NONE}`), ...notes(record)];
  return [record.target ?? NONE, ...notes(record)];
}

function shown(record) {
  const wanted = at('filter').value.trim().toLowerCase();
  if (at('only-bad').checked && record.outcome === 'ok') return false;
  if (!wanted) return true;
  const texts = [record.request_id, record.model, record.target, record.route, record.rule && `rule ${record.rule}`, record.key, record.protocol,
    record.outcome, String(record.status), record.error?.code, record.trace?.trace_id];
  return texts.some((text) => text?.toLowerCase().includes(wanted));
}

function row(record) {
  const chosen = state.chosen === record.number;
  const cell = (name, ...inside) => el('td', { class: name }, ...inside);
  return el('tr', {
    'data-number': record.number, 'aria-selected': String(chosen), tabindex: chosen ? 0 : -1,
    onclick: () => choose(record.number),
  },
  cell('time', clock(record.time)), cell('how', outcome(record)), cell('asked', record.model ?? el('span', { class: 'quiet' }, NONE)),
  cell('served', served(record)), cell('why', why(record)),
  cell('n tokens', usedTokens(record)), cell('n cost', cost(record)),
  cell('n first', millis(record.first_ms)), cell('n total', millis(record.total_ms)));
}

function drawRequests() {
  const list = state.requests.filter(shown);
  const body = at('requests').tBodies[0];
  const focused = body.contains(document.activeElement);
  body.replaceChildren(...list.map(row));
  if (focused) (body.querySelector('[aria-selected="true"]') ?? body.firstChild)?.focus({ preventScroll: true });
  if (body.firstChild && !body.querySelector('[tabindex="0"]')) body.firstChild.tabIndex = 0;
  at('requests').hidden = list.length === 0;
  at('no-requests').hidden = list.length > 0;
  at('no-requests').textContent = state.requests.length ? 'None of the calls is like that: change the filter.'
    : 'No model call yet. Each one appears here when it is over (unless the file says `telemetry: { recent: false }`).';
  at('count').textContent = state.requests.length === 0 ? ''
    : `${list.length === state.requests.length ? '' : `${count(list.length)} of `}the last ${plural(state.requests.length, 'call')}`;
}

function choose(chosen, focus = true) {
  state.chosen = chosen;
  drawRequests();
  drawDetail();
  const line = at('requests').querySelector('[aria-selected="true"]');
  if (focus) line?.focus({ preventScroll: true });
  line?.scrollIntoView({ block: 'nearest' });
}

function closeDetail() {
  at('detail').classList.remove('open');
  at('requests').querySelector('[aria-selected="true"]')?.focus({ preventScroll: true });
}

function drawDetail() {
  const record = state.requests.find((one) => one.number === state.chosen);
  if (!record) return;
  const draw = (rule) => at('detail').replaceChildren(el('button', { class: 'close', onclick: closeDetail }, 'Close'), ...detail(record, rule));
  const ruleOf = (table) => (table?.generation === record.generation ? table.rules.find((rule) => rule.number === record.rule)?.text : undefined);
  draw(ruleOf(state.table));
  at('detail').classList.add('open');
  at('detail').scrollTop = 0;
  if (record.rule && state.status) {
    // What the rule says is in the table, which is asked for when somebody wants to know.
    liveTable().then((table) => { if (state.chosen === record.number && ruleOf(table)) draw(ruleOf(table)); }, () => {});
  }
}

/** One try as a bar within the time of the whole request. */
function bar(tried, total) {
  const scale = (ms) => (100 * ms) / Math.max(total, 0.001);
  const end = tried.end_ms ?? total;
  const mood = tried.cause === 'ok' ? '' : ' bad';
  return el('svg', { class: 'line', viewBox: '0 0 100 10', preserveAspectRatio: 'none', role: 'img',
    'aria-label': `from ${millis(tried.start_ms)} to ${millis(end)} of ${millis(total)}` },
  el('rect', { class: 'whole', x: 0, y: 4, width: 100, height: 2 }),
  el('rect', { class: `try${mood}`, x: Math.min(scale(tried.start_ms), 99.5), y: 0, width: Math.max(scale(end - tried.start_ms), 0.5), height: 10 }),
  tried.first_ms === undefined ? null : el('rect', { class: 'first', x: Math.min(scale(tried.first_ms), 99.2), y: 0, width: 0.8, height: 10 }));
}

function attemptStep(tried, record) {
  const ok = tried.cause === 'ok';
  const cause = tried.cause === 'status' ? `HTTP ${tried.status}` : CAUSES[tried.cause] ?? tried.cause.replaceAll('_', ' ');
  const answered = record.cached ? 'answered from the cache, nobody was asked' : 'answered';
  const words = [ok ? answered : cause, LANES[tried.lane] ?? tried.lane,
    known(tried.first_ms) ? `first content after ${millis(tried.first_ms - tried.start_ms)}` : '',
    known(tried.end_ms) ? `${millis(tried.end_ms - tried.start_ms)} in all` : ''];
  const mood = ok ? 'good' : /^(outrun|caller_left)$/.test(tried.cause) ? 'warn' : 'bad';
  return step(mood, el('b', {}, tried.target), el('div', { class: 'quiet' }, words.filter(Boolean).join(' · ')), bar(tried, record.total_ms),
    tried.losses?.length ? el('div', { class: 'warn' }, `not carried over: ${tried.losses.map(loss).join(', ')}`) : null);
}

/** `top_k=dropped` as words. */
function loss(text) {
  const [field, effect] = text.split('=');
  return effect ? `${field} (${effect})` : field;
}

function path(record, rule) {
  return el('ol', { class: 'path' },
    step(record.rule ? 'good' : '', record.rule ? `rule ${record.rule} fired` : 'no rule fired', rule ? el('pre', {}, rule) : null),
    record.route ? step('', 'route ', el('b', {}, record.route),
      known(record.decided_ms) ? el('span', { class: 'quiet' }, ` after ${millis(record.decided_ms)}`) : null) : null,
    (record.skipped ?? []).map((skipped) => step('warn', el('b', {}, skipped.target), el('div', { class: 'quiet' }, `passed over: ${skipped.reason}`))),
    record.attempts.map((tried) => attemptStep(tried, record)),
    record.error ? step('bad', `the caller was told of an error of the ${record.error.origin}`,
      record.error.code ? [': ', el('code', {}, record.error.code)] : '') : null);
}

function detail(record, rule) {
  const usage = used(record);
  const tags = Object.entries(record.tags ?? {});
  const told = Object.entries(record.facts ?? {}).filter(([, value]) => value !== null);
  const health = Object.entries(record.inputs?.health ?? {});
  const measured = (one) => [one.cooling_ms ? `cooling for ${millis(one.cooling_ms)}` : '', `first content ${millis(one.first_token_ms) || 'not known'}`,
    `${count(one.in_flight)} in flight`].filter(Boolean).join(', ');
  return [
    el('h2', {}, `${record.model ?? 'A request'} `, outcome(record)),
    facts([['id', el('code', {}, record.request_id)], ['trace', record.trace ? el('code', {}, record.trace.trace_id) : ''], ['at', fullTime(record.time)],
      ['as', `${record.protocol} ${record.operation.replaceAll('_', ' ')}${record.stream ? ', streamed' : ''}`], ['client key', record.key],
      ['generation', String(record.generation)]]),
    el('h3', {}, 'How it was decided'),
    path(record, rule),
    el('h3', {}, 'What it took'),
    facts([['tokens in / out', usedTokens(record)], ['of these', usageParts(usage)], ['cost', cost(record)],
      ['model', record.response_model], ['finished', (record.finish_reasons ?? []).join(', ')], ['first content', millis(record.first_ms)],
      ['total', millis(record.total_ms)], ['bytes', `${count(record.bytes_in)} in, ${count(record.bytes_out)} out`]]),
    /≈/.test(usedTokens(record) + cost(record)) ? el('p', { class: 'quiet small' }, '≈ is an estimate: no upstream reported it.') : null,
    health.length ? el('h3', {}, 'What was measured at that moment') : null,
    health.length ? facts(health.map(([name, one]) => [name, measured(one)])) : null,
    told.length ? el('h3', {}, 'What rules could know') : null,
    told.length ? facts(told.map(([name, value]) => [name, String(value)])) : null,
    tags.length ? el('h3', {}, 'Tags') : null,
    tags.length ? facts(tags) : null,
  ].filter((one) => one !== null);
}

function usageParts(usage) {
  const parts = Object.entries(usage ?? {}).filter(([name, value]) => value && !/^(input|output)$/.test(name));
  return parts.map(([name, value]) => `${count(value)} ${name.replaceAll('_', ' ')}`).join(', ');
}

async function pollRequests() {
  if (state.paused) return;
  const { requests } = await ask(`/admin/requests?after=${state.last}&limit=${KEPT}`);
  if (requests.length === 0 && state.requests.length > 0) return;
  state.last = requests[0]?.number ?? state.last;
  state.requests = [...requests, ...state.requests].slice(0, KEPT);
  drawRequests();
}

/** Another process answers: its calls have numbers of their own. */
function forgetRequests() {
  Object.assign(state, { requests: [], last: 0, chosen: null });
  at('detail').classList.remove('open');
}

function move(by) {
  const list = state.requests.filter(shown);
  if (list.length === 0) return;
  const now = list.findIndex((record) => record.number === state.chosen);
  choose(list[Math.min(Math.max(now + by, 0), list.length - 1)].number);
}
