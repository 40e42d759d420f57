// SPDX-License-Identifier: Apache-2.0
// A person with a phone and nothing but its browser makes a device active: muster serve, muster-agent on the simulated air, Chromium.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync, openSync, closeSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";

import { Muster, eventually } from "../node/muster.mjs";

const require = createRequire(process.env.SUITE_MODULES);
const { chromium } = require("playwright-core");
const agentProgram = join(process.env.MUSTER_BIN_DIR, "muster-agent");
const markup = "<img src=x onerror=alert(1)>";  // As the name of a network.

let server, directory, agent, browser, template;

const freePort = () => new Promise((resolve) => {
  const listener = createServer().listen(0, "127.0.0.1", () => {
    const { port } = listener.address();
    listener.close(() => resolve(port));
  });
});

/** A device open for set-up, and where its page is. */
async function startAgent(name, ...more) {
  const port = await freePort();
  const air = join(directory, "air");
  writeFileSync(`${air}.networks`, `Muster Home\tmuster-home\t\nCafe\t\t\n${markup}\tmuster-home\t\n`);
  const log = join(directory, `${name}.log`);
  const file = openSync(log, "w");
  const child = spawn(agentProgram, ["--store", join(directory, name), "--template", template.templateIds[0], "--template-name", "Lamp",
    "--radio", `sim:${air}`, "--setup-page", `127.0.0.1:${port}`, "--ca", server.caFile, "--json", ...more], { stdio: ["ignore", file, file] });
  closeSync(file);
  const exited = new Promise((resolve) => child.once("exit", resolve));
  const events = () => readFileSync(log, "utf8").split("\n").filter((line) => line.endsWith("}")).map((line) => JSON.parse(line));
  agent = { stop: async () => { child.kill("SIGTERM"); await exited; }, events };
  await eventually(() => events().some((event) => event.step === "setup_opened"));
  return port;
}

/** A phone whose every request goes to the device, and a record of where they were meant to go. */
async function openPhone(port) {
  browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", `--host-resolver-rules=MAP * 127.0.0.1:${port}`],
  });
  const page = await (await browser.newContext({ viewport: { width: 320, height: 640 }, hasTouch: true, isMobile: true })).newPage();
  const asked = [], problems = [];
  page.on("request", (request) => asked.push(new URL(request.url())));
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("dialog", (dialog) => { problems.push(`dialog: ${dialog.message()}`); return dialog.dismiss(); });
  page.setDefaultTimeout(20_000);
  return { page, asked, problems };
}

const newToken = () => server.api("POST", "/api/v1/organization/device/provision/token", { templateId: template.templateId });
const fitsItsWidth = (page) => page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth);

before(async () => {
  directory = mkdtempSync(join(tmpdir(), "muster-browser-"));
  server = await Muster.start();
  await server.setUp();
  template = await server.api("POST", "/api/v1/template/create", { name: "Lamp" });
});
afterEach(async () => {
  await browser?.close();
  await agent?.stop();
  browser = agent = undefined;
});
after(async () => {
  await server?.stop();
  rmSync(directory, { recursive: true, force: true });
});

test("from the portal's probe to a device that is online, with a wrong password on the way", async () => {
  const port = await startAgent("lamp");
  const { page, asked, problems } = await openPhone(port);
  // What Android asks to find out whether there is a way out.
  await page.goto("http://connectivitycheck.gstatic.com/generate_204");
  assert.equal(new URL(page.url()).host, "192.168.4.1", "the probe leads to the page");
  assert.match(await page.textContent("#name"), /^Blynk Lamp-....$/);
  assert.ok(await fitsItsWidth(page));

  // Names from the air are text.
  const home = page.getByRole("button", { name: "Muster Home" });
  await home.waitFor();
  await page.getByRole("button", { name: markup }).waitFor();
  assert.ok(await page.getByRole("button", { name: /Cafe.*open/ }).isVisible());
  assert.ok(await fitsItsWidth(page), "also with the list");

  await home.tap();
  assert.equal(await home.getAttribute("aria-pressed"), "true");
  assert.equal(await page.inputValue("#ssid"), "Muster Home");
  const token = await newToken();
  await page.fill("#blynk", token.token);
  await page.fill("#host", token.host);
  await page.fill("#port", String(token.port));
  await page.fill("#pass", "muster-hone");
  assert.equal(await page.getAttribute("#pass", "type"), "password");
  await page.tap("#show");
  assert.equal(await page.getAttribute("#pass", "type"), "text");
  await page.tap("#show");
  assert.equal(await page.getAttribute("#pass", "type"), "password");

  await page.getByRole("button", { name: "Connect" }).tap();
  const say = page.getByRole("status");
  await say.filter({ hasText: "(code 722)" }).waitFor();
  assert.match(await say.textContent(), /The Wi-Fi password is wrong\./);
  assert.ok(await fitsItsWidth(page), "also with the failure");
  assert.deepEqual((await server.api("GET", "/api/v1/organization/devices")).content, [], "no device is left by a failed try");

  await page.fill("#pass", "muster-home");
  await page.getByRole("button", { name: "Try again" }).tap();
  await say.filter({ hasText: "The device is online" }).waitFor();
  assert.equal(await page.isVisible("#f"), false, "there is nothing left to fill in");
  const devices = (await server.api("GET", "/api/v1/organization/devices")).content;
  assert.deepEqual(devices.map((device) => device.id), [token.deviceId]);
  await eventually(() => agent.events().some((event) => event.step === "stored"));

  assert.deepEqual(problems, []);
  assert.deepEqual([...new Set(asked.slice(1).map((url) => url.host))], ["192.168.4.1"], "nothing from outside");
});

test("a link fills the page in, and a bad token is refused before anything is sent", async () => {
  const port = await startAgent("other", "--vendor", "Acme");
  const { page } = await openPhone(port);
  const token = await newToken();
  await page.goto(`http://192.168.4.1/?ssid=Muster+Home&blynk=${token.token}&host=${token.host}&port_ssl=${token.port}`);
  assert.match(await page.textContent("#name"), /^Acme Lamp-....$/);
  assert.equal(await page.inputValue("#ssid"), "Muster Home");
  assert.equal(await page.inputValue("#blynk"), token.token);
  assert.equal(await page.inputValue("#port"), String(token.port));
  await page.fill("#blynk", "short");
  await page.fill("#pass", "muster-home");
  await page.tap("#go");
  assert.equal(await page.evaluate(() => document.getElementById("blynk").validity.valid), false);
  assert.ok(!agent.events().some((event) => event.step === "config"), "nothing was sent");
  await page.fill("#blynk", token.token);
  await page.tap("#go");
  await page.getByRole("status").filter({ hasText: "The device is online" }).waitFor();
});
