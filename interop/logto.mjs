// The published connector, asked to send to a server on loopback.

import http from 'node:http';
import https from 'node:https';

import { replaceSendMessageHandlebars } from '@logto/connector-kit';
import createConnector from '@logto/connector-twilio-sms';

// The server that stands in for https://api.twilio.com.
let standIn;

// The connector has no base URL to set. Its HTTP library calls https.request
// with a URL, which is sent elsewhere here; whatever else it asked for stays.
https.request = (url, options, callback) => {
  const { origin, pathname, search } = new URL(url);
  if (origin !== 'https://api.twilio.com') {
    throw new Error(`the published connector wants to reach ${origin}`);
  }
  return http.request(new URL(pathname + search, standIn), options, callback);
};

const connector = await createConnector({ getConfig: async () => ({}) });

/**
 * Sends as the connector does, to the server at baseURL.
 * Resolves to {sent: true}, or to {refused: {code, message}}.
 */
export async function send({ config, data, baseURL }) {
  standIn = baseURL;
  try {
    await connector.sendMessage(data, config);
    return { sent: true };
  } catch (error) {
    // The connector's own errors have a code of their own kind; a network
    // error's code is a string in capitals, and no answer at all.
    if (error?.constructor?.name === 'ConnectorError') {
      return { refused: { code: error.code, message: error.message } };
    }
    throw error;
  }
}

/** Puts payloads into templates by the connector's own rule. */
export function render({ pairs }) {
  // A server would send half a surrogate pair as U+FFFD; so does this.
  const sent = (text) => Buffer.from(text).toString();
  return pairs.map(({ template, payload }) => sent(replaceSendMessageHandlebars(template, payload)));
}
