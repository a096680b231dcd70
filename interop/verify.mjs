// Twilio's SDK as a client of sixdigit's Twilio Verify surface. Nothing of it is
// changed but the host that it reaches.

import twilio from 'twilio';
import RequestClient from 'twilio/lib/base/RequestClient.js';

/** The SDK's HTTP client, sending to baseURL what is meant for verify.twilio.com. */
class Elsewhere extends RequestClient {
  #baseURL;

  constructor(baseURL) {
    super({ timeout: 10_000, keepAlive: false });
    this.#baseURL = baseURL;
  }

  request(options) {
    const { origin, pathname, search } = new URL(options.uri);
    if (origin !== 'https://verify.twilio.com' && origin !== new URL(this.#baseURL).origin) {
      throw new Error(`the SDK wants to reach ${origin}`);
    }
    return super.request({ ...options, uri: new URL(pathname + search, this.#baseURL).href });
  }
}

/** Runs call and turns a REST error into {failed: {status, code, message}}. */
async function tell({ baseURL, accountSid, authToken }, call) {
  const { verify } = twilio(accountSid, authToken, { httpClient: new Elsewhere(baseURL) });
  try {
    const result = await call(verify.v2);
    return Array.isArray(result) ? result.map((one) => one.toJSON()) : result.toJSON();
  } catch (error) {
    if (error instanceof twilio.RestException) {
      const { status, code, message, moreInfo } = error;
      return { failed: { status, code, message, moreInfo } };
    }
    throw error;
  }
}

const dated = ({ dateCreatedAfter, ...rest }) => ({
  ...rest,
  ...(dateCreatedAfter && { dateCreatedAfter: new Date(dateCreatedAfter) }),
});

export const createService = ({ params, ...to }) => tell(to, (v2) => v2.services.create(params));
export const updateService = ({ service, params, ...to }) => tell(to, (v2) => v2.services(service).update(params));
export const fetchService = ({ service, ...to }) => tell(to, (v2) => v2.services(service).fetch());
export const listServices = ({ params, ...to }) => tell(to, (v2) => v2.services.list(params));
export const start = ({ service, params, ...to }) => tell(to, (v2) => v2.services(service).verifications.create(params));
export const fetch = ({ service, sid, ...to }) => tell(to, (v2) => v2.services(service).verifications(sid).fetch());
export const update = ({ service, sid, params, ...to }) => tell(to, (v2) => v2.services(service).verifications(sid).update(params));
export const check = ({ service, params, ...to }) => tell(to, (v2) => v2.services(service).verificationChecks.create(params));
export const attempts = ({ params, ...to }) => tell(to, (v2) => v2.verificationAttempts.list(dated(params)));
export const attempt = ({ sid, ...to }) => tell(to, (v2) => v2.verificationAttempts(sid).fetch());
export const summary = ({ params, ...to }) => tell(to, (v2) => v2.verificationAttemptsSummary().fetch(dated(params)));
