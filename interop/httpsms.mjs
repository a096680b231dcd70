// The published connector that posts texts to a URL, asked to post to loopback.

import createConnector from '@logto/connector-http-sms';

const connector = await createConnector({ getConfig: async () => ({}) });

/**
 * Posts as the connector does.
 * Resolves to {sent: true}, or to {refused: {code, message}}, the message as Logto keeps it.
 */
export async function send({ config, data }) {
  try {
    await connector.sendMessage(data, config);
    return { sent: true };
  } catch (error) {
    if (error?.constructor?.name === 'ConnectorError') {
      return { refused: { code: error.code, message: error.data.message } };
    }
    throw error;
  }
}
