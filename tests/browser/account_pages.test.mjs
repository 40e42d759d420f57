// SPDX-License-Identifier: Apache-2.0
// A person whose browser runs no script and is 320 px wide accepts an invitation, signs in and out, and mistypes things on the way.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { after, afterEach, before, test } from "node:test";

import { Muster } from "../node/muster.mjs";

const require = createRequire(process.env.SUITE_MODULES);
const { chromium } = require("playwright-core");

let server, browser;

/** A browser without script, and every request that left its own server. */
async function openBrowser() {
  browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
  const context = await browser.newContext({ viewport: { width: 320, height: 640 }, javaScriptEnabled: false });
  const page = await context.newPage();
  const elsewhere = [], origins = [];
  page.on("request", (request) => {
    if (new URL(request.url()).host !== server.http.host) elsewhere.push(request.url());
    if (request.method() === "POST") origins.push(request.headers().origin);
  });
  page.setDefaultTimeout(20_000);
  return { page, context, elsewhere, origins };
}

/** Nothing is wider than the window: asked of the boxes, for the page runs no script. */
async function fitsItsWidth(page) {
  for (const part of await page.locator("main *").all()) {
    const box = await part.boundingBox();
    if (box) assert.ok(box.x >= 0 && box.x + box.width <= 320.5, `${JSON.stringify(box)} of ${await part.innerText()}`);
  }
}

before(async () => {
  server = await Muster.start({ config: `[brand]\nname = "Pumps <and> Pipes"\nterms_url = "https://example.org/terms"\n` });
  await server.setUp();
});
afterEach(async () => { await browser?.close(); browser = undefined; });
after(async () => { await server?.stop(); });

test("an invitation is accepted, and its account signs in and out", async () => {
  const invited = await server.api("POST", "/api/v1/users/invite", { email: "zoe@example.com", name: "Zoë <b>" });
  assert.match(invited.link, /^\/account\/invitation\?link=/, "without --public-url the link is a path");
  const { page, context, elsewhere, origins } = await openBrowser();
  await page.goto(new URL(invited.link, server.http).href);
  await fitsItsWidth(page);
  assert.equal(await page.getByLabel("Your name").inputValue(), "Zoë <b>");
  await page.getByLabel("New password").fill("correct horse");
  await page.getByLabel("The same once more").fill("another horse");
  await page.getByRole("button").click();
  assert.match(await page.getByRole("alert").innerText(), /differ/);
  await fitsItsWidth(page);
  await page.getByLabel("Your name").fill("Zoë");
  await page.getByLabel("New password").fill("correct horse");
  await page.getByLabel("The same once more").fill("correct horse");
  await page.getByRole("button").click();
  await page.getByRole("link", { name: "Sign in" }).click();
  await fitsItsWidth(page);
  await page.getByLabel("Email").fill("zoe@example.com");
  await page.getByLabel("Password").fill("wrong horse");
  await page.getByRole("button").click();
  assert.match(await page.getByRole("alert").innerText(), /email or the password is wrong/);
  await page.getByLabel("Password").fill("correct horse");
  await page.getByRole("button").click();
  assert.match(await page.locator("main").innerText(), /As Zoë/);
  const cookies = await context.cookies();
  for (const name of ["muster_session", "muster_device", "muster_form"]) {
    const cookie = cookies.find((each) => each.name === name);
    assert.ok(cookie?.httpOnly && cookie.sameSite === "Strict", name);
  }
  await page.getByRole("button", { name: "Sign out" }).click();
  assert.match(page.url(), /\/account\/sign-in$/);
  assert.deepEqual(elsewhere, []);
  assert.ok(origins.length >= 4);
  for (const origin of origins) assert.equal(origin, server.http.origin, "the browser says where its form comes from");
});

test("a link that was used says so", async () => {
  const { link } = await server.api("POST", "/api/v1/users/invite", { email: "ada@example.com" });
  await server.api("POST", "/api/v1/users/invitation/accept", { link: link.split("link=")[1], password: "correct horse" });
  const { page } = await openBrowser();
  const answer = await page.goto(new URL(link, server.http).href);
  assert.equal(answer.status(), 404);
  assert.match(await page.locator("main").innerText(), /expired, was used already/);
  await fitsItsWidth(page);
});

test("a form that another server's page sends is refused", async () => {
  const { page } = await openBrowser();
  await page.setContent(`<form method="post" action="${new URL("/account/sign-in", server.http).href}"><input name="email" value="a@b.org">
    <input name="password" value="correct horse"><button>Win</button></form>`);
  await page.getByRole("button").click();
  await page.waitForURL(/sign-in/);
  assert.match(await page.locator("main").innerText(), /another server|too old/);
});
