// The page: what is looked at, how often, and by which keys.
'use strict';

const VIEWS = ['requests', 'table', 'health', 'spend', 'reloads', 'explain'];
const EVERY = 1000; // milliseconds between two looks

const LOOK = {
  requests: async () => {},
  table: async () => drawTable(await liveTable()),
  health: async () => drawHealth(await ask('/admin/health')),
  spend: async () => drawSpend(await ask('/admin/spend')),
  reloads: async () => drawReloads(await ask('/admin/reloads')),
  explain: async () => {},
};

function drawState(now) {
  if (!changed('state', now)) return;
  at('state').replaceChildren(...[`generation ${now.active.generation}`, el('span', { title: now.config }, now.config?.split('/').pop() ?? 'no file'),
    now.listen, `version ${now.version}`, now.draining ? el('b', { class: 'warn' }, 'stopping') : null].filter(Boolean).map((part) => el('span', {}, part)));
  at('drift').hidden = !now.drift;
  if (!now.drift) return;
  const list = now.last_error ?? [];
  const errors = list.filter((one) => one.severity !== 'warning');
  const rest = list.length - Math.min(errors.length, 1);
  at('drift').replaceChildren(el('b', {}, now.config_missing ? 'The file is gone. ' : 'The file as it is now was refused. '),
    `Generation ${now.active.generation} stays live.`, errors.length ? findings(errors.slice(0, 1)) : '',
    rest > 0 ? el('details', {}, el('summary', {}, `${plural(rest, 'more finding')}`), findings([...errors.slice(1), ...list.filter((one) => one.severity === 'warning')])) : '');
}

async function pollState() {
  const now = await ask('/admin/config/status');
  const before = state.status?.active;
  const restarted = before && now.active.generation <= before.generation && now.active.since !== before.since;
  if (restarted) forgetRequests();
  state.status = now;
  drawState(now);
}

async function look() {
  try {
    await pollState();
    await pollRequests();
    await LOOK[state.view]();
    at('away').hidden = true;
    state.seen = Date.now();
    document.body.dataset.ready = state.view;
  } catch (error) {
    if (error instanceof NeedsToken) return wantToken();
    const since = state.seen ? ` What is shown is of ${clock(state.seen)}.` : '';
    if (changed('away', [error.message, since])) at('away').replaceChildren(el('b', {}, 'The gateway does not answer. '), `${error.message}.${since} It is asked again every second.`);
    at('away').hidden = false;
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
  if (state.view === 'table') layEdges();
  look();
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
  if (event.key === 'Escape') return closeDetail();
  // Within the chosen call's own box the keys scroll it.
  const by = at('detail').contains(event.target) ? undefined : { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
  const line = event.target.closest?.('#requests tbody tr');
  if (by) {
    event.preventDefault();
    move(by);
  } else if (line && (event.key === 'Enter' || event.key === ' ')) {
    event.preventDefault();
    choose(Number(line.dataset.number));
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
  at('pause').textContent = state.paused ? 'Paused: go on' : 'Pause';
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
