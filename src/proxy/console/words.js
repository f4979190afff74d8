// Elements, questions to /admin/, and the words for numbers and times. No library; every text goes through textContent.
'use strict';

const TOKEN = 'routeplane-token';
const SVG = 'http://www.w3.org/2000/svg';

const at = (id) => document.getElementById(id);
const state = {
  view: 'requests', requests: [], last: 0, chosen: null, paused: false, status: null, table: null, tableOf: null, drawn: new Map(),
};

/** An element with attributes and children; texts are texts, never markup. */
function el(name, attributes = {}, ...children) {
  const made = /^(svg|rect|path)$/.test(name) ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith('on')) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? '' : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ''));
  return made;
}

/** Whether `value` is another than what was drawn at `place`: what stays the same is left alone, with the reader's selection in it. */
function changed(place, value) {
  const text = JSON.stringify(value);
  if (state.drawn.get(place) === text) return false;
  state.drawn.set(place, text);
  return true;
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

/** The compiled table of the live generation, asked for once. */
async function liveTable() {
  const { generation, since } = state.status.active;
  const wanted = `${generation} ${since}`;
  if (state.tableOf !== wanted) {
    const said = await ask('/admin/table');
    state.table = { generation: said.generation, ...said.table };
    state.tableOf = wanted;
  }
  return state.table;
}

function wantToken() {
  const dialog = at('token-dialog');
  if (dialog.open) return;
  at('token').value = '';
  dialog.showModal();
}

// === words

const NONE = '–';
const number = new Intl.NumberFormat('en');
const known = (value) => value !== undefined && value !== null;
const count = (value) => (known(value) ? number.format(value) : '');
const plural = (many, one, more = `${one}s`) => `${count(many)} ${many === 1 ? one : more}`;

function money(usd) {
  if (!known(usd)) return '';
  if (usd === 0) return '$0';
  return `$${usd >= 1 ? number.format(Math.round(usd * 100) / 100) : usd.toFixed(usd >= 0.01 ? 4 : 6)}`;
}

function millis(ms) {
  if (!known(ms)) return '';
  if (ms < 10) return `${ms.toFixed(ms < 1 ? 2 : 1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return ms < 60000 ? `${(ms / 1000).toFixed(2)} s` : `${Math.floor(ms / 60000)} min ${Math.round((ms % 60000) / 1000)} s`;
}

const two = (value) => String(value).padStart(2, '0');
const day = (date) => `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
const hour = (date) => [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':');

/** The time of the reader's place; with the day where it is another than today. */
function clock(time) {
  const date = new Date(time);
  return day(date) === day(new Date()) ? hour(date) : `${day(date)} ${hour(date)}`;
}

function fullTime(time) {
  const date = new Date(time);
  const east = -date.getTimezoneOffset();
  const zone = `${east < 0 ? '-' : '+'}${two(Math.floor(Math.abs(east) / 60))}:${two(Math.abs(east) % 60)}`;
  return `${day(date)} ${hour(date)} UTC${zone}`;
}

// === findings

const RANK = { error: 0, warning: 1 };

/** A finding: what is wrong, where, and what to do. */
function finding(one) {
  const place = one.labels?.[0];
  const where = place?.file ? `${place.file.split('/').pop()}, line ${place.line}, column ${place.column}` : null;
  return el('li', {},
    el('span', { class: one.severity === 'warning' ? 'warn' : 'bad' }, `${one.severity ?? 'error'} `), one.code ? el('code', {}, `${one.code} `) : null,
    one.message ?? one.text ?? String(one),
    where ? el('span', { class: 'quiet', title: place.file }, ` at ${where}${place.text ? `: ${place.text}` : ''}`) : null,
    one.help ? el('div', { class: 'help' }, one.help) : null);
}

/** Findings, the errors first. */
function findings(list) {
  const rank = (one) => RANK[one.severity] ?? 0;
  return el('ul', { class: 'findings' }, [...list].sort((a, b) => rank(a) - rank(b)).map(finding));
}

function step(mood, ...inside) {
  return el('li', { class: mood }, ...inside);
}

function facts(pairs) {
  const filled = pairs.filter(([, value]) => known(value) && value !== '');
  return el('dl', {}, filled.flatMap(([name, value]) => [el('dt', {}, name), el('dd', {}, value)]));
}
