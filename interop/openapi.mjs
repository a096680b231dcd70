// A validator of OpenAPI documents, which holds the published schemas.

import { Validator } from '@seriousme/openapi-schema-validator';

/** Says whether a document is valid, of which version, and why not. */
export async function validate({ document }) {
  const validator = new Validator();
  const { valid, errors } = await validator.validate(document);
  return { valid, version: validator.version ?? '', errors: valid ? '' : JSON.stringify(errors) };
}
