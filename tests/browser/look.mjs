// Opens the console's page in a real browser, does what it is told, and prints what is to be seen.
//
//   node look.mjs PLACE '{"url": ..., ...}'
//
// PLACE has node_modules with playwright-core and axe-core. What it is told:
//   width, height, dark, language   the browser
//   until                           a phase; until the page shows it, every change is printed. The
//                                   page is loaded anew in the midst of a restore. On standard error
//                                   it says "ready" before the page is there, which it waits for,
//                                   and "seen" when there was enough to be seen of the restore
//   midway                          where to put a picture of the restore
//   press                           keys, one after the other, "Tab" or "type:text"; what has the
//                                   focus after each is printed
//   token                           typed, then "Test" is clicked
//   preview                         the preview of the moment that is chosen is asked for
//   search                          typed into the search of the primary's log; `log` is what is shown
//   rebuild                         with `token`: a replica is to be made again, which waits for the
//                                   cluster's name, of which this is typed; `sure` tells whether one
//                                   could go on before, and after
//   screenshot                      where to put a picture of the whole page
// It prints one JSON object.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';

const [place, words] = process.argv.slice(2);
const told = JSON.parse(words);
const require = createRequire(`${place}/`);
const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
});
const context = await browser.newContext({
  viewport: { width: told.width ?? 1280, height: told.height ?? 900 },
  colorScheme: told.dark ? 'dark' : 'light',
  locale: told.language ?? 'en-US',
});
const page = await context.newPage();
const seen = { requests: [], complaints: [], looks: [] };
page.on('request', (request) => seen.requests.push(request.url()));
page.on('console', (message) => message.type() === 'error' && seen.complaints.push(message.text()));
page.on('pageerror', (error) => seen.complaints.push(String(error)));

const look = () =>
  page.evaluate(() => {
    const text = (selector) => document.querySelector(selector)?.innerText ?? '';
    const facts = (place) =>
      Object.fromEntries([...place.querySelectorAll('dl.facts > div')].map((entry) => [entry.querySelector('dt').innerText, entry.querySelector('dd').innerText]));
    return {
      title: document.title,
      lang: document.documentElement.lang,
      cluster: text('h1'),
      phase: text('.phase'),
      bar: document.querySelector('#restore progress')?.value ?? null,
      phases: [...document.querySelectorAll('.phases li')].map((item) => item.innerText),
      restore: document.querySelector('#restore .facts') ? facts(document.querySelector('#restore')) : {},
      nodes: Object.fromEntries([...document.querySelectorAll('[data-node]')].map((card) => [card.dataset.node, { ...facts(card), state: card.querySelector('.state').innerText.trim() }])),
      links: [...document.querySelectorAll('.link')].map((link) => link.innerText),
      problems: [...document.querySelectorAll('.problems li')].map((item) => item.dataset.problem),
      told: [...document.querySelectorAll('.problems li')].map((item) => item.innerText),
      backups: [...document.querySelectorAll('#repository tbody tr')].map((row) => row.cells[0].innerText),
      workers: [...document.querySelectorAll('#workers tbody tr')].map((row) => [...row.cells].map((cell) => cell.innerText)),
      restores: [...document.querySelectorAll('#past tbody tr')].map((row) => row.cells[1].innerText),
      picture: document.querySelectorAll('.timeline .backup').length,
      chart: document.querySelectorAll('.chart canvas').length,
    };
  });

process.stderr.write('ready\n');
for (const patience = Date.now() + 300_000; ; ) {
  try {
    await page.goto(told.url);
    break;
  } catch (error) {
    if (!told.until || Date.now() > patience) throw error;
    await page.waitForTimeout(200);
  }
}
seen.complaints = [];
await page.waitForSelector('h1', { timeout: 60_000 });
if (told.until) {
  let last = '';
  const bars = { before: new Set(), after: new Set() };
  for (;;) {
    const now = await look();
    if (JSON.stringify(now) !== last) seen.looks.push(now);
    last = JSON.stringify(now);
    if (now.phase === told.until) break;
    if (now.phase === 'failed') throw new Error(`it failed: ${last}`);
    if (now.phase === 'restoring' && now.bar !== null) bars[seen.reloaded_at ? 'after' : 'before'].add(now.bar);
    if (!seen.reloaded_at && bars.before.size >= 2) {
      seen.reloaded_at = seen.looks.length;
      await page.reload();
      await page.waitForSelector('h1', { timeout: 60_000 });
    }
    if (!seen.enough && bars.after.size >= 2) {
      seen.enough = true;
      if (told.midway) await page.screenshot({ path: told.midway, fullPage: true });
      process.stderr.write('seen\n');
    }
    await page.waitForTimeout(200);
  }
}
await page.waitForSelector('#repository tbody tr', { timeout: 60_000 });
if (told.press) {
  seen.focus = [];
  for (const key of told.press) {
    await page.keyboard.press(key);
    seen.focus.push(await page.evaluate(() => document.activeElement.innerText || document.activeElement.type || document.activeElement.tagName));
  }
}
if (told.search) {
  await page.locator('#logs input[type=search]').fill(told.search);
  await page.waitForFunction((wanted) => document.querySelector('#logs pre').innerText.split('\n').every((line) => line.toLowerCase().includes(wanted.toLowerCase())), told.search, { timeout: 60_000 });
  seen.log = (await page.locator('#logs pre').innerText()).split('\n');
}
if (told.preview) {
  await page.locator('#repository form button[type=submit]').focus();
  await page.keyboard.press('Enter');
  await page.waitForSelector('#preview dl, #repository [role=alert]', { timeout: 60_000 });
  seen.preview = await page.locator('#repository form').innerText();
  seen.command = await page.locator('#repository code').allInnerTexts();
}
if (told.token) {
  await page.locator('#acts input').fill(told.token);
}
if (told.rebuild) {
  await page.locator('[data-act=rebuild]').first().click();
  const yes = page.locator('dialog button[value=yes]');
  seen.sure = [await yes.isEnabled()];
  await page.locator('dialog input').fill(told.rebuild);
  seen.sure.push(await yes.isEnabled());
  seen.asked = await page.locator('#sure').innerText();
  await page.locator('dialog button[value=no]').click();
} else if (told.token) {
  await page.locator('[data-act=test]').click();
  await page.waitForFunction(() => document.querySelectorAll('#said li').length > 0 || /:.*\./.test(document.querySelector('#said').innerText), undefined, { timeout: 120_000 });
  seen.said = await page.locator('#said').innerText();
}
seen.last = await look();
seen.scroll_width = await page.evaluate(() => document.documentElement.scrollWidth);
seen.background = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
if (told.screenshot) await page.screenshot({ path: told.screenshot, fullPage: true });
await page.evaluate(axe);
const found = await page.evaluate(() => axe.run(document, { resultTypes: ['violations'] }));
seen.violations = found.violations.map((violation) => `${violation.id}: ${violation.help}: ${violation.nodes.map((node) => node.target.join(' ')).join(', ')}`);
seen.rules_passed = found.passes.length;
await browser.close();
console.log(JSON.stringify(seen));
