// Twilio's segment calculator.

import calculator from 'sms-segments-calculator';

const { SegmentedMessage } = calculator;

/**
 * Measures each of bodies, with Smart Encoding if smart. The text that is
 * measured is smart's own result.
 */
export function measure({ bodies, smart }) {
  return bodies.map((body) => {
    const message = new SegmentedMessage(body, 'auto', smart);
    return {
      encoding: message.encodingName,
      segments: message.segmentsCount,
      // Septets or UTF-16 units of the body itself, without headers.
      units: message.messageSize / (message.encodingName === 'GSM-7' ? 7 : 16),
      text: message.graphemes.join(''),
    };
  });
}
