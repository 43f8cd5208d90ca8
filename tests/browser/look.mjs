// Opens the console's page in a real browser, does what it is told, and prints what is to be seen.
//
//   node look.mjs PLACE '{"url": ..., ...}'
//
// PLACE has node_modules with playwright-core and axe-core. What it is told:
//   width, height, dark, language, zone   the browser
//   leads                           "NAME ADDRESS": where that host name leads, as of a name server
//   until                           a phase; until the page shows it, every change is printed. The
//                                   page is loaded anew in the midst of a restore. On standard error
//                                   it says "ready" before the page is there, which it waits for,
//                                   and "seen" when there was enough to be seen of the restore. That
//                                   it failed before it was seen restoring is a thing of the past
//   midway                          where to put a picture of the restore
//   token                           typed, then "Test" is clicked
//   preview                         the preview of the moment that is chosen is asked for
//   moment                          with `preview`: that one is chosen, as the field for it has it
//   along                           with `preview`: the timeline that is chosen
//   copy                            the preview's command is copied with its button, and pasted
//                                   elsewhere: `copied` is what the button says, `pasted` what came
//   of                              with `search`: which log is chosen first
//   search                          `scrolled` and `notes` are how far down it is, and what is said of
//                                   what is not shown;
//                                   typed into the search of the primary's log; `log` is what is shown
//   follow                          with `search`: the log is followed, it says "following" on standard
//                                   error, and waits until a line with that is shown
//   rebuild                         with `token`: a replica is to be made again, which waits for the
//                                   cluster's name, for which each of these is typed; `sure` tells
//                                   whether one could go on before, and after each; `asking` is where
//                                   to put a picture
//   keyboard                        a token; with nothing but the keyboard, first through the whole page
//                                   (`stops`: each that has the focus, and whether one sees it), then
//                                   to the replica's "Rebuild", the dialog, the cluster's name, and to
//                                   what came of it (`said`)
//   acts                            with `token`: what is clicked one after the other, each {act, node,
//                                   confirm, until}: with `confirm`, that is typed, where a name has to
//                                   be; `until` is a phase that is waited for when it is done. A
//                                   "restore" is of the moment that is chosen with `moment`. After each
//                                   it says "did ACT" on standard error and goes on when it is told so
//                                   by a line on standard input. `did` tells of each what was asked,
//                                   whether one could go on before and after the name was typed, what
//                                   was said, and what was to be seen then
//   stale                           it says "stale" on standard error when the page tells that what it
//                                   shows is old, and waits until it is not: `stale` is what was told
//   day                             `day` is what is to be seen once the lag of 24 hours was chosen, and
//                                   "quarter" what is when that of 15 minutes was again
//   answers                         what is answered at a path of the API, whatever the console says
//   refuses                         with what status and text somebody in between refuses what is asked
//                                   at a path: {PATH: [STATUS, TEXT]}
//   aborts                          paths at which the connection is lost
//   alters                          what is put into each look that the page hears of
//   widths                          `widths` tells of each how wide the page is then, and which words
//                                   of what leads to a replica are broken in two
//   screenshot                      where to put a picture of the whole page
// It prints one JSON object.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const [place, words] = process.argv.slice(2);
const told = JSON.parse(words);
const require = createRequire(`${place}/`);
const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', ...(told.leads ? [`--host-resolver-rules=MAP ${told.leads}`] : [])],
});
const context = await browser.newContext({
  viewport: { width: told.width ?? 1280, height: told.height ?? 900 },
  colorScheme: told.dark ? 'dark' : 'light',
  locale: told.language ?? 'en-US',
  timezoneId: told.zone ?? 'UTC',
});
const page = await context.newPage();
for (const [path, json] of Object.entries(told.answers ?? {})) await page.route((url) => url.pathname === path, (route) => route.fulfill({ json }));
for (const [path, [status, body]] of Object.entries(told.refuses ?? {})) await page.route((url) => url.pathname === path, (route) => route.fulfill({ status, body, contentType: 'text/plain' }));
for (const path of told.aborts ?? []) await page.route((url) => url.pathname === path, (route) => route.abort('connectionreset'));
// The look that the page has got last from the API, to compare with what it shows.
await page.addInitScript((alters) => {
  const put = (what, into) => {
    for (const [name, value] of Object.entries(what)) {
      if (value?.constructor === Object && into[name]) put(value, into[name]);
      else into[name] = value;
    }
    return into;
  };
  window.EventSource = class extends EventSource {
    constructor(url) {
      super(url);
      this.addEventListener('status', ({ data }) => (window.lastView = JSON.parse(data)));
    }
    addEventListener(name, hear) {
      super.addEventListener(name, ({ data }) => hear({ data: JSON.stringify(put(alters, JSON.parse(data))) }));
    }
  };
}, told.alters ?? {});
const seen = { requests: [], complaints: [], looks: [] };
page.on('request', (request) => seen.requests.push(request.url()));
page.on('console', (message) => message.type() === 'error' && seen.complaints.push(message.text()));
page.on('pageerror', (error) => seen.complaints.push(String(error)));

const look = () =>
  page.evaluate(async () => {
    // Until what has come is drawn, and nothing newer has come meanwhile.
    let view;
    do {
      view = window.lastView;
      await new Promise((drawn) => setTimeout(drawn, 50));
    } while (view !== window.lastView);
    // Pixels of the chart that have the colour of the first line.
    const drawn = () => {
      const canvas = document.querySelector('.chart canvas');
      if (!canvas) return 0;
      const wanted = getComputedStyle(document.documentElement).getPropertyValue('--line-1').trim();
      const [red, green, blue] = [1, 3, 5].map((at) => parseInt(wanted.slice(at, at + 2), 16));
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      let count = 0;
      for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 128 && Math.abs(data[i] - red) + Math.abs(data[i + 1] - green) + Math.abs(data[i + 2] - blue) < 60) ++count;
      return count;
    };
    const text = (selector) => document.querySelector(selector)?.innerText ?? '';
    const facts = (place) =>
      Object.fromEntries([...place.querySelectorAll('dl.facts > div')].map((entry) => [entry.querySelector('dt').innerText, entry.querySelector('dd').innerText]));
    return {
      view: view && { time_ms: view.time_ms, pace: view.pace, supervisor: view.status.supervisor },
      title: document.title,
      lang: document.documentElement.lang,
      cluster: text('h1'),
      phase: document.querySelector('.phase')?.dataset.phase ?? '',
      state: text('.phase'),
      look: document.querySelector('.phase')?.className ?? '',
      time: text('header .time'),
      legend: [...document.querySelectorAll('.chart + .legend li')].map((item) => item.innerText.trim()),
      end: text('#recovery-end'),
      restore_said: text('#restore-said'),
      bar: document.querySelector('#restore progress')?.value ?? null,
      phases: [...document.querySelectorAll('.phases li')].map((item) => item.innerText),
      restore: document.querySelector('#restore .facts') ? facts(document.querySelector('#restore')) : {},
      nodes: Object.fromEntries([...document.querySelectorAll('[data-node]')].map((card) => [card.dataset.node, { ...facts(card), state: card.querySelector('.state').innerText.trim() }])),
      archive: document.querySelector('#cluster .wide-facts') ? facts(document.querySelector('#cluster .wide-facts').parentElement) : {},
      links: [...document.querySelectorAll('.link')].map((link) => link.innerText),
      problems: [...document.querySelectorAll('.problems li')].map((item) => item.dataset.problem),
      told: [...document.querySelectorAll('.problems li')].map((item) => item.innerText),
      backups: [...document.querySelectorAll('#repository tbody tr')].map((row) => row.cells[0].innerText),
      types: [...document.querySelectorAll('#repository tbody tr')].map((row) => row.cells[1].innerText),
      sizes: [...document.querySelectorAll('#repository tbody tr')].map((row) => [4, 5].map((i) => row.cells[i].innerText)),
      workers: [...document.querySelectorAll('#workers tbody tr')].map((row) => [...row.cells].map((cell) => cell.innerText)),
      built_on: [...document.querySelectorAll('#repository tbody tr')].map((row) => row.cells[2].title || null),
      gaps: [...document.querySelectorAll('#repository tbody tr')].map((row) => row.cells[7].innerText),
      no_source: text('#no-source'),
      alerts: [...document.querySelectorAll('#repository [role=alert]')].map((item) => item.innerText),
      reaches: [...document.querySelectorAll('#repository tbody tr')].map((row) => row.cells[6].innerText),
      windows: [...document.querySelectorAll('[data-window]')].map((item) => item.innerText),
      warnings: [...document.querySelectorAll('#warnings li')].map((item) => [...item.querySelectorAll('p')].map((part) => [part.lang, part.textContent])),
      past: [...document.querySelectorAll('#past tbody tr')].map((row) => [...row.cells].map((cell) => cell.innerText)),
      restores: [...document.querySelectorAll('#past tbody tr')].map((row) => row.cells[1].innerText.split('\n')[0]),
      reasons: [...document.querySelectorAll('#past tbody tr')].map((row) => row.querySelector('.why')?.innerText ?? ''),
      why: [...document.querySelectorAll('#past tbody tr')].map((row) => [...row.querySelectorAll('.why')].map((part) => [part.lang, part.innerText])),
      checks: [...document.querySelectorAll('#said li')].map((item) => item.innerText),
      picture: document.querySelectorAll('.timeline .backup').length,
      chart: document.querySelectorAll('.chart canvas').length,
      drawn: drawn(),
      span: [...document.querySelectorAll('#cluster [aria-pressed=true]')].map((button) => button.innerText),
      restore_log: document.querySelector('#restore pre')?.textContent.trim().split('\n') ?? [],
      log_failure: text('#log-failure'),
      log_lines: text('#logs pre'),
    };
  });

// What the picture of the repository shows, told by where its parts lie: from which backup's mark each
// line that means "builds on" leads to which, and in whose lane which part of the width is a gap.
const picture = () =>
  page.evaluate(() => {
    const marks = [...document.querySelectorAll('.timeline > g')].map((lane) => {
      const box = lane.querySelector('.backup').getBBox();
      return { label: lane.querySelector('title').textContent.split(',')[0], x: box.x + box.width / 2, y: box.y + box.height / 2 };
    });
    const at = (point) => marks.find((mark) => Math.abs(mark.x - point.x) < 1 && Math.abs(mark.y - point.y) < 1)?.label ?? null;
    const near = (y) => marks.find((mark) => Math.abs(mark.y - y) < 1)?.label ?? null;
    return {
      builds: [...document.querySelectorAll('.timeline .builds')].map((line) => [at(line.getPointAtLength(line.getTotalLength())), at(line.getPointAtLength(0))]),
      gaps: [...document.querySelectorAll('.timeline .gap')].map((gap) => ({ of: near(gap.getBBox().y + gap.getBBox().height / 2), left: gap.getBBox().x, right: gap.getBBox().x + gap.getBBox().width })),
      marks: Object.fromEntries(marks.map((mark) => [mark.label, mark.x])),
    };
  });

// What axe says of the page as it is, and how wide it is.
const judged = async () => {
  await page.evaluate(axe);
  const found = await page.evaluate(() => axe.run(document, { resultTypes: ['violations'] }));
  return {
    violations: found.violations.map((violation) => `${violation.id}: ${violation.help}: ${violation.nodes.map((node) => node.target.join(' ')).join(', ')}`),
    rules_passed: found.passes.length,
    scroll_width: await page.evaluate(() => document.documentElement.scrollWidth),
  };
};

// Words of what leads to a replica that stand on more than one line.
const broken = () =>
  page.evaluate(() =>
    [...document.querySelectorAll('.link')].flatMap((link) => {
      const text = link.lastChild;
      return [...text.data.matchAll(/\S+/g)].filter(({ 0: word, index }) => {
        const range = document.createRange();
        range.setStart(text, index);
        range.setEnd(text, index + word.length);
        return range.getClientRects().length !== 1;
      }).map(([word]) => word);
    }),
  );

// The confirmation that is open: types each of the names, and tells what was asked and whether one
// could go on before and after each.
const confirm = async (names) => {
  const yes = page.locator('dialog button[value=yes]');
  const sure = [await yes.isEnabled()];
  for (const name of names) {
    await page.locator('dialog input').fill(name);
    sure.push(await yes.isEnabled());
  }
  return { asked: await page.locator('#sure').innerText(), sure };
};

const askForPreview = async () => {
  if (told.moment) await page.locator('#repository input[type=datetime-local]').fill(told.moment);
  if (told.along) await page.locator('#repository select').selectOption(told.along);
  await page.locator('#repository form button[type=submit]').focus();
  await page.keyboard.press('Enter');
  await page.waitForSelector('#preview dl, #repository [role=alert]', { timeout: 60_000 });
  // Who uses the keyboard is still where he was.
  seen.asked_from = await page.evaluate(() => document.activeElement.type ?? document.activeElement.tagName);
};

// What has the focus, and whether one who looks can tell.
const focused = () =>
  page.evaluate(() => {
    const element = document.activeElement;
    const style = getComputedStyle(element);
    return {
      what: element.getAttribute('aria-label') || element.innerText?.split('\n')[0] || element.closest('label')?.innerText || element.type || element.tagName,
      act: element.dataset.act ?? '',
      visible: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2 && element.getClientRects().length > 0,
      dialog: element.closest('dialog') !== null,
    };
  });

// Tab until `there`, at most through the whole page.
const tab = async (there) => {
  for (let left = 200; left > 0; left -= 1) {
    await page.keyboard.press('Tab');
    const now = await focused();
    if (there(now)) return now;
  }
  throw new Error('no key leads there');
};

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
    if (now.phase === 'failed' && seen.looks.some(({ phase }) => phase === 'restoring')) throw new Error(`it failed: ${last}`);
    if (now.phase === 'restoring' && now.bar !== null) bars[seen.reloaded_at ? 'after' : 'before'].add(now.bar);
    if (!seen.reloaded_at && bars.before.size >= 2) {
      seen.reloaded_at = seen.looks.length;
      await page.reload();
      await page.waitForSelector('h1', { timeout: 60_000 });
    }
    if (!seen.enough && bars.after.size >= 2) {
      seen.enough = true;
      await page.setViewportSize({ width: 360, height: 740 });
      seen.narrow = await judged();
      await page.setViewportSize({ width: 1280, height: 900 });
      if (told.midway) await page.screenshot({ path: told.midway, fullPage: true });
      process.stderr.write('seen\n');
    }
    await page.waitForTimeout(200);
  }
}
await page.waitForSelector('#repository tbody tr, #no-source', { timeout: 60_000 });
if (told.stale) {
  await page.waitForSelector('[data-trouble=stale]', { timeout: 60_000 });
  seen.stale = await page.locator('[data-trouble=stale]').innerText();
  if (told.midway) await page.screenshot({ path: told.midway });
  process.stderr.write('stale\n');
  await page.waitForSelector('[data-trouble]', { state: 'detached', timeout: 60_000 });
}
seen.picture = await picture();
if (told.day) {
  for (const [name, text] of [['day', '24 hours'], ['quarter', '15 minutes']]) {
    await page.getByRole('button', { name: text, exact: true }).click();
    seen[name] = await look();
  }
}
if (told.keyboard) {
  seen.stops = [];
  await tab((now) => {
    const round = seen.stops.length > 0 && (now.what === seen.stops[0].what || now.what === 'BODY');
    if (!round) seen.stops.push(now);
    return round;
  });
  await tab(({ what }) => what === 'Actions');
  await page.keyboard.press('Enter');
  await tab(({ what }) => what === 'Token');
  await page.keyboard.type(told.keyboard);
  seen.led = [await tab(({ what }) => what === 'Rebuild replica')];
  await page.keyboard.press('Enter');
  await page.waitForSelector('dialog[open]');
  seen.led.push(await focused());
  await page.keyboard.press('Enter'); // nothing, before the name is there
  await page.keyboard.type((await look()).cluster);
  seen.led.push(await focused());
  await page.keyboard.press('Enter');
  await page.waitForSelector('dialog[open]', { state: 'detached' });
  seen.led.push(await focused());
  await page.waitForFunction(() => /: (done|.*\.)$/m.test(document.querySelector('#said').innerText), undefined, { timeout: 120_000 });
  seen.said = await page.locator('#said').innerText();
  seen.led.push(await focused());
}
if (told.search) {
  if (told.of) await page.locator('#logs select').selectOption(told.of);
  const found = page.waitForResponse((answer) => new RegExp(`logs\\?of=${told.of ?? 'primary'}&search=[^&]`).test(answer.url()));
  await page.locator('#logs input[type=search]').fill(told.search);
  const none = (await (await found).json()).lines?.length === 0;
  await page.waitForFunction(([wanted, none]) => document.querySelector('#logs pre').innerText.split('\n').every((line) => none ? line === 'No lines.' : line.toLowerCase().includes(wanted.toLowerCase())), [told.search, none], { timeout: 60_000 });
  if (told.follow) {
    const read = page.waitForResponse((answer) => new RegExp(`logs\\?of=${told.of ?? 'primary'}&search=[^&]`).test(answer.url()));
    await page.locator('#logs input[type=checkbox]').check();
    await read;
    await page.waitForTimeout(300); // it is shown
    await page.evaluate(() => (document.querySelector('#logs pre').scrollTop = 0)); // what comes now comes because it is followed
    process.stderr.write('following\n');
    await page.waitForFunction((wanted) => document.querySelector('#logs pre').innerText.includes(wanted), told.follow, { timeout: 60_000 });
  }
  seen.scrolled = await page.evaluate(() => document.querySelector('#logs pre').scrollTop);
  seen.notes = await page.locator('#log-part, #log-skipped').allInnerTexts();
  seen.log = (await page.locator('#logs pre').innerText()).split('\n');
}
if (told.preview) {
  await askForPreview();
  seen.preview = await page.locator('#repository form').innerText();
  seen.command = await page.locator('#repository code').allInnerTexts();
}
if (told.copy) {
  await page.locator('.command button').click();
  await page.waitForFunction(() => document.querySelector('.command button').innerText !== 'Copy', undefined, { timeout: 10_000 });
  seen.copied = await page.locator('.command button').innerText();
  await page.locator('#logs input[type=search]').focus();
  await page.keyboard.press('Control+V');
  seen.pasted = await page.locator('#logs input[type=search]').inputValue();
}
if (told.token) {
  await page.locator('#acts input').fill(told.token);
}
if (told.rebuild) {
  await page.locator('[data-act=rebuild]').first().click();
  Object.assign(seen, await confirm(told.rebuild));
  seen.dialog = await judged();
  if (told.asking) await page.screenshot({ path: told.asking });
  await page.locator('dialog button[value=no]').click();
} else if (told.acts) {
  seen.did = [];
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  for (const { act, node, confirm: name, until } of told.acts) {
    if (act === 'restore') await askForPreview();
    const button = page.locator(node ? `[data-act=${act}][aria-label$=" ${node}"]` : `[data-act=${act}]`);
    await button.click();
    const asks = !['test', 'start'].includes(act);
    if (asks) await page.waitForSelector('dialog[open]');
    const done = asks ? await confirm(name ? [name] : []) : {};
    if (done.asked) await page.locator('dialog button[value=yes]').click();
    const atWork = (wanted) => page.waitForFunction((is) => document.querySelector('#said').innerText.match(/^(Working|Em andamento): /) !== null === is, wanted, { timeout: wanted ? 5_000 : 240_000 });
    await atWork(true).catch(() => undefined); // what was said of the last one is gone
    await atWork(false);
    done.said = await page.locator('#said').innerText();
    await page.waitForFunction(() => document.querySelector('.banner') === null, undefined, { timeout: 60_000 });
    if (until) await page.waitForFunction((wanted) => document.querySelector('.phase').dataset.phase === wanted, until, { timeout: 120_000 });
    // It is beside the repository, which the console that came with the new cluster has to read first.
    if (act === 'restore' && until === 'running') await page.waitForSelector('#restore-said', { timeout: 60_000 });
    seen.did.push({ act, ...done, ...(await look()) });
    process.stderr.write(`did ${act}\n`);
    if ((await lines.next()).done) break;
  }
} else if (told.token) {
  await page.locator('[data-act=test]').click();
  await page.waitForFunction(() => document.querySelectorAll('#said li').length > 0 || /:.*\./.test(document.querySelector('#said').innerText), undefined, { timeout: 120_000 });
  seen.said = await page.locator('#said').innerText();
}
if (told.refuses?.['/api/v1/logs']) await page.waitForSelector('#log-failure', { timeout: 60_000 });
seen.last = await look();
seen.background = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
if (told.widths) {
  seen.widths = {};
  for (const width of told.widths) {
    await page.setViewportSize({ width, height: told.height ?? 900 });
    seen.widths[width] = { broken: await broken(), scroll_width: await page.evaluate(() => document.documentElement.scrollWidth) };
    if (told.screenshot) await page.screenshot({ path: told.screenshot.replace(/\.png$/, `-${width}.png`), fullPage: true });
  }
}
if (told.screenshot) await page.screenshot({ path: told.screenshot, fullPage: true });
Object.assign(seen, await judged());
await browser.close();
console.log(JSON.stringify(seen));
