// An OpenID Connect provider for the tests: anybody signs in as whom they say, in the groups the login names.
import Provider from "oidc-provider";

const [port, redirect, id, secret] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const groups = { rita: ["trust-and-safety"], leo: ["trust-and-safety", "leads"], eve: [] };

const provider = new Provider(issuer, {
  clients: [{ client_id: id, client_secret: secret, redirect_uris: [redirect], grant_types: ["authorization_code"], response_types: ["code"] }],
  claims: { openid: ["sub"], profile: ["name", "preferred_username", "groups"], email: ["email"] },
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  features: { devInteractions: { enabled: true } },
  cookies: { keys: ["only for tests"] },
  findAccount: (_ctx, sub) => ({
    accountId: sub,
    claims: () => ({ sub, name: `${sub[0].toUpperCase()}${sub.slice(1)} Example`, preferred_username: sub, groups: groups[sub] ?? [] }),
  }),
});
provider.listen(Number(port), "127.0.0.1", () => console.log("ready"));
