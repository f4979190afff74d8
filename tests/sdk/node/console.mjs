// Uses the console as a person would, with keys and the mouse, and prints what it shows.
//   node console.mjs URL TOKEN CHROMIUM [FOLDER]    the pictures go to FOLDER
import { chromium } from 'playwright-core';

const [url, token, executablePath, folder] = process.argv.slice(2);
const args = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const browser = await chromium.launch({ executablePath, args });
const context = await browser.newContext({ colorScheme: 'light', viewport: { width: 1400, height: 850 } });
const page = await context.newPage();

const problems = [];
const elsewhere = [];
page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
page.on('pageerror', (error) => problems.push(String(error)));
page.on('request', (request) => { if (new URL(request.url()).origin !== new URL(url).origin && !request.url().startsWith('data:')) elsewhere.push(request.url()); });

const seen = {};
const text = async (selector) => (await page.locator(selector).innerText()).replace(/\s+/g, ' ').trim();
const picture = async (name) => { if (folder) await page.screenshot({ path: `${folder}/${name}.png` }); };
const open = async (key, name) => {
  await page.keyboard.press(key);
  await page.waitForFunction((view) => document.body.dataset.ready === view, name);
};

await page.goto(`${url}/console`);
seen.asked = await page.locator('#token-dialog').evaluate(async (dialog) => {
  for (let left = 100; left > 0 && !dialog.open; left -= 1) await new Promise((go) => setTimeout(go, 50));
  return dialog.open;
});
// The first answer without the token is a 401, which the browser calls an error.
problems.length = 0;
await page.locator('#token').fill(token);
await page.keyboard.press('Enter');
await page.waitForFunction(() => document.querySelectorAll('#requests tbody tr').length >= 3);

seen.state = await text('#state');
seen.rows = await page.locator('#requests tbody tr').allInnerTexts();
await page.keyboard.press('Escape');
await page.locator('#requests tbody tr').first().focus();
await page.keyboard.press('ArrowDown');
seen.first = await text('#detail');
await picture('requests');
await page.keyboard.press('ArrowDown');
seen.second = await text('#detail');
await page.keyboard.press('/');
await page.keyboard.type('fallen');
seen.filtered = await page.locator('#requests tbody tr').count();
await page.locator('#filter').fill('');
await page.keyboard.press('Escape');

await open('2', 'table');
seen.graph = (await page.locator('#graph .node').allInnerTexts()).join(' | ');
await page.locator('#graph button.node').first().focus();
seen.route = await text('#route');
seen.edges = await page.locator('#edges path[d]').count();
seen.reached = await page.locator('#graph .reached').count();
await picture('table');
await open('3', 'health');
seen.health = await text('#health');
await picture('health');
await open('4', 'spend');
seen.spend = await text('#view-spend');
await picture('spend');
await open('5', 'reloads');
seen.reloads = await text('#reloads');
seen.drift = await text('#drift');
await picture('reloads');
await open('6', 'explain');
await page.locator('#ask-headers').fill('x-team: research');
await page.locator('#ask-body').fill('{"model": "up/m1", "messages": [{"role": "user", "content": "hello"}]}');
await page.locator('#ask-body').press('Control+Enter');
await page.waitForSelector('#answer h3');
seen.explained = await text('#answer');
await picture('explain');
await page.locator('#ask-body').fill('{');
await page.locator('#ask button').click();
await page.waitForSelector('#answer .bad');
seen.mistake = await text('#answer');
await page.keyboard.press('Escape');
await page.locator('#tab-explain').focus();
await page.keyboard.press('ArrowRight');
seen.around = await page.locator('[role=tab][aria-selected=true]').getAttribute('id');

await page.emulateMedia({ colorScheme: 'dark' });
seen.dark = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
await picture('dark');
await page.setViewportSize({ width: 1000, height: 800 });
seen.middle = await page.locator('#requests').evaluate((table) => table.getBoundingClientRect().right <= window.innerWidth);
await page.setViewportSize({ width: 420, height: 800 });
seen.wide = await page.evaluate(() => document.documentElement.scrollWidth);
await page.locator('#tab-requests').click();
await page.locator('#requests tbody tr').first().focus();
await page.keyboard.press('Enter');
seen.sheet = await text('#detail');
await picture('narrow');
await page.keyboard.press('Escape');
seen.closed = await page.locator('#detail').isHidden();

console.log(JSON.stringify({ ...seen, problems, elsewhere }));
await browser.close();
