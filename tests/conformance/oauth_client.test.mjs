// SPDX-License-Identifier: Apache-2.0
// The token endpoint as a stock OAuth2 library sees it: simple-oauth2, unmodified.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { Muster } from "../node/muster.mjs";

const { ClientCredentials } = createRequire(process.env.SUITE_MODULES)("simple-oauth2");

let server, client;

before(async () => {
  server = await Muster.start();
  await server.setUp();
  client = await server.api("POST", "/api/v1/oauth/clients/create", { name: "ERP", scopes: ["ORG_VIEW_USERS"] });
});
after(() => server.stop());

const library = ({ tokenPath = "/oauth2/token", authorizationMethod = "header", secret = client.clientSecret } = {}) =>
  new ClientCredentials({
    client: { id: client.clientId, secret },
    auth: { tokenHost: server.http.origin, tokenPath },
    options: { authorizationMethod },
  });

const users = (accessToken) => fetch(new URL("/api/v1/users", server.http), { headers: { Authorization: `Bearer ${accessToken}` } });

for (const authorizationMethod of ["header", "body"]) {
  for (const tokenPath of ["/oauth2/token", "/api/v1/oauth2/token"]) {
    test(`client_credentials by ${authorizationMethod} at ${tokenPath}`, async () => {
      const accessToken = await library({ authorizationMethod, tokenPath }).getToken({});
      assert.equal(accessToken.token.token_type, "Bearer");
      assert.equal(accessToken.token.expires_in, 86400);
      assert.equal(accessToken.expired(), false);
      assert.equal((await users(accessToken.token.access_token)).status, 200);
    });
  }
}

test("a refresh token brings new tokens once; used again it ends them all", async () => {
  const first = await library().getToken({});
  const second = await first.refresh();
  assert.equal((await users(second.token.access_token)).status, 200);
  await assert.rejects(first.refresh(), (error) => error.data.payload.error === "invalid_grant");
  assert.equal((await users(second.token.access_token)).status, 401);
});

test("a wrong secret is an error of the standard", async () => {
  await assert.rejects(library({ secret: "wrong" }).getToken({}), (error) => error.output.statusCode === 401 && error.data.payload.error === "invalid_client");
});

test("a secret in the URL is refused, with the reason", async () => {
  const url = new URL("/oauth2/token", server.http);
  url.search = new URLSearchParams({ grant_type: "client_credentials", client_id: client.clientId, client_secret: client.clientSecret });
  const response = await fetch(url, { method: "POST" });
  assert.equal(response.status, 400);
  const body = await response.json();
  assert.equal(body.error, "invalid_request");
  assert.match(body.error_description, /URL/);
});
