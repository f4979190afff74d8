// The compiled table as a graph: rules and presets at the left, what they lead to at the right.
'use strict';

const AS_ASKED = 'the model that was asked for';

/** The targets of a route in order, without repetition; a denial and the caller's own choice are places, too. */
function targetsOf(route) {
  if (route === 'as_requested' || route?.as_requested) return [AS_ASKED];
  if (!route || typeof route !== 'object') return [];
  if (Array.isArray(route)) return [...new Set(route.flatMap(targetsOf))];
  if (typeof route.target === 'string') return [route.target];
  if (route.deny) return [`denied with ${route.deny.status}`];
  return [...new Set(Object.values(route).flatMap(targetsOf))];
}

function tree(route) {
  if (route === 'as_requested' || route.as_requested) return el('li', {}, AS_ASKED);
  if (typeof route === 'string') return el('li', {}, route.replaceAll('_', ' '));
  if (route.target !== undefined) {
    return el('li', {}, el('b', {}, route.target ?? ''), route.settings?.length ? el('div', { class: 'quiet' }, route.settings.join(' · ')) : null);
  }
  const branch = (words, members) => el('li', {}, words, el('ul', {}, members));
  if (route.deny) return el('li', { class: 'bad' }, `denied with ${route.deny.status}${route.deny.text ? `: ${route.deny.text}` : ''}`);
  if (route.fallback) return branch('in order, until one answers', route.fallback.map(tree));
  if (route.split) {
    const whole = route.split.reduce((sum, one) => sum + Number(one.weight), 0);
    const share = (one) => (whole > 0 ? ` (${number.format(Math.round((1000 * one.weight) / whole) / 10)} %)` : '');
    return branch(`split${route.sticky ? `, sticky by ${route.sticky}` : ''}`, route.split.map((one) => branch(`weight ${one.weight}${share(one)}`, [tree(one.route)])));
  }
  if (route.hedge) return branch(`hedge: the next one starts after ${millis(route.after_ms)}`, route.hedge.map(tree));
  if (route.shadow) return branch(`answers come from the first; ${route.sample_percent} % of the requests are copied to the mirror`, [tree(route.shadow), branch('mirror', [tree(route.mirror)])]);
  const [name, members] = Object.entries(route)[0] ?? ['', []];
  return branch(name.replaceAll('_', ' '), (Array.isArray(members) ? members : []).map(tree));
}

function sourcesOf(table) {
  const ofRule = (rule) => {
    const asked = rule.then === 'as_requested';
    const preset = !asked && rule.then.name?.startsWith('@') ? rule.then.name : null;
    return { name: `rule ${rule.number}`, text: rule.text, route: asked ? rule.then : rule.then.route, note: `line ${rule.line}`, preset };
  };
  return [...table.rules.map(ofRule), ...Object.entries(table.presets).map(([name, route]) => ({ name: `@${name}`, route }))];
}

function drawTable(table) {
  if (!changed('table', [table.generation, table.id])) return;
  const presets = Object.keys(table.presets).length;
  at('table-id').textContent = `Generation ${table.generation}: ${plural(table.rules.length, 'rule')}, ${plural(presets, 'preset')}, ${plural(table.providers.length, 'provider')} · table ${table.id.slice(0, 12)}`;
  const sources = sourcesOf(table);
  const targets = [...new Set(sources.flatMap((source) => targetsOf(source.route)))].sort();
  at('no-table').hidden = sources.length > 0;
  at('graph').hidden = sources.length === 0;
  at('sources').replaceChildren(...sources.map((source, index) => el('li', {},
    el('button', { class: 'node', 'data-source': index, onclick: () => { pick(sources, index); at('route').scrollIntoView({ block: 'nearest' }); }, onfocus: () => pick(sources, index) },
      el('b', {}, source.name), source.text ? el('code', {}, ` ${source.text}`) : null))));
  at('targets').replaceChildren(...targets.map((name) => el('li', {}, el('div', { class: 'node', 'data-target': name }, name))));
  const edge = (index, name) => el('path', { 'data-from': index, 'data-to': name });
  at('edges').replaceChildren(...sources.flatMap((source, index) => targetsOf(source.route).map((name) => edge(index, name))));
  layEdges();
}

/** Puts every edge where its two boxes are now. */
function layEdges() {
  const graph = at('graph');
  if (graph.hidden || graph.offsetWidth === 0) return;
  const origin = graph.getBoundingClientRect();
  at('edges').setAttribute('viewBox', `0 0 ${origin.width} ${origin.height}`);
  const middle = (box) => box.top + box.height / 2 - origin.top;
  const boxes = new Map();
  for (const node of graph.querySelectorAll('[data-source], [data-target]')) boxes.set(node.dataset.source ?? `to ${node.dataset.target}`, node.getBoundingClientRect());
  for (const path of at('edges').children) {
    const [from, to] = [boxes.get(path.dataset.from), boxes.get(`to ${path.dataset.to}`)];
    const [x, y, u, v] = [from.right - origin.left, middle(from), to.left - origin.left, middle(to)];
    const bend = (u - x) / 2;
    path.setAttribute('d', `M${x} ${y} C${x + bend} ${y} ${u - bend} ${v} ${u} ${v}`);
  }
}

/** Shows one rule or preset, and what it leads to. */
function pick(sources, index) {
  const { name, text, note, route, preset } = sources[index];
  const reached = targetsOf(route);
  const graph = at('graph');
  graph.querySelectorAll('[data-source]').forEach((box) => box.classList.toggle('chosen', box.dataset.source === String(index)));
  graph.querySelectorAll('[data-target]').forEach((box) => box.classList.toggle('reached', reached.includes(box.dataset.target)));
  graph.querySelectorAll('path').forEach((path) => path.classList.toggle('chosen', path.dataset.from === String(index)));
  graph.classList.add('picked');
  at('route').replaceChildren(el('h2', {}, name, note ? el('span', { class: 'quiet' }, ` ${note}`) : null), text ? el('pre', {}, text) : '',
    el('h3', {}, preset ? `Leads to ${preset}` : 'Leads to'), el('ul', { class: 'tree' }, tree(route)));
}

new ResizeObserver(layEdges).observe(at('graph'));
