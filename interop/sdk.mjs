// Twilio's SDK, asked to talk to a server on loopback and to judge signatures.

import twilio from 'twilio';
import RequestClient from 'twilio/lib/base/RequestClient.js';

/** The SDK's HTTP client, sending to baseURL whatever is meant for Twilio. */
class Redirected extends RequestClient {
  #baseURL;

  constructor(baseURL) {
    super({ timeout: 10_000, keepAlive: false });
    this.#baseURL = baseURL;
  }

  request(options) {
    const { hostname, pathname, search } = new URL(options.uri);
    if (!hostname.endsWith('.twilio.com')) {
      throw new Error(`the SDK wants to reach ${hostname}`);
    }
    return super.request({ ...options, uri: new URL(pathname + search, this.#baseURL).href });
  }
}

function client({ baseURL, accountSid, username, password }) {
  return twilio(username ?? accountSid, password, { accountSid, httpClient: new Redirected(baseURL) });
}

/** Runs call and turns a REST error into {failed: {status, code, message}}. */
async function tell(call) {
  try {
    return await call();
  } catch (error) {
    if (error instanceof twilio.RestException) {
      const { status, code, message } = error;
      return { failed: { status, code, message } };
    }
    throw error;
  }
}

const plain = (message) => message.toJSON();

/** Creates a message with the SDK's own parameter names: to, body, from, … */
export function create({ params, ...access }) {
  return tell(async () => plain(await client(access).messages.create(params)));
}

/** Fetches the message sid. */
export function fetch({ sid, ...access }) {
  return tell(async () => plain(await client(access).messages(sid).fetch()));
}

/** Lists messages with the SDK's filters: to, from, dateSent, limit, pageSize. */
export function list({ params, ...access }) {
  const { dateSentAfter, dateSentBefore, ...rest } = params;
  const dates = {
    ...(dateSentAfter && { dateSentAfter: new Date(dateSentAfter) }),
    ...(dateSentBefore && { dateSentBefore: new Date(dateSentBefore) }),
  };
  return tell(async () => (await client(access).messages.list({ ...rest, ...dates })).map(plain));
}

/** Empties the body of the message sid. */
export function redact({ sid, ...access }) {
  return tell(async () => plain(await client(access).messages(sid).update({ body: '' })));
}

/** Says that the message sid did its work, or not: outcome. */
export function feedback({ sid, outcome, ...access }) {
  return tell(async () => (await client(access).messages(sid).feedback.create({ outcome })).toJSON());
}

/** The form as a web framework hands it to validateRequest: repeated names as arrays. */
function formOf(body) {
  const form = Object.create(null);
  for (const [name, value] of new URLSearchParams(body)) {
    form[name] = name in form ? [form[name], value].flat() : value;
  }
  return form;
}

/** Reports whether signature is Twilio's for a form body posted to url. */
export function validate({ token, signature, url, body }) {
  return twilio.validateRequest(token, signature, url, formOf(body));
}

/** The signature that Twilio's SDK expects for a form body posted to url. */
export function sign({ token, url, body }) {
  return twilio.getExpectedTwilioSignature(token, url, formOf(body));
}
