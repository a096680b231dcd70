// The Node.js half of the interop tests. It reads one JSON object a line from
// stdin, {"op": "segments.measure", …}, asks a published package, and writes
// one line to stdout: {"result": …} or {"error": "…"}. It ends with its stdin.

import { inspect } from 'node:util';

// Loaded when first asked: a test waits for the package that it asks alone.
const modules = {
  logto: () => import('./logto.mjs'),
  httpsms: () => import('./httpsms.mjs'),
  sdk: () => import('./sdk.mjs'),
  segments: () => import('./segments.mjs'),
  verify: () => import('./verify.mjs'),
  openapi: () => import('./openapi.mjs'),
};

// stdout carries answers alone, whatever a package wants to say.
console.log = console.error;

async function answer(line) {
  try {
    const { op, ...args } = JSON.parse(line);
    const [module, name] = op.split('.');
    const { [name]: ask } = await modules[module]();
    return { result: (await ask(args)) ?? null };
  } catch (error) {
    return { error: inspect(error) };
  }
}

/** The lines of stdin. readline would also end one at U+2028, which JSON may hold. */
async function* lines() {
  let rest = '';
  for await (const chunk of process.stdin.setEncoding('utf8')) {
    const parts = (rest + chunk).split('\n');
    rest = parts.pop();
    yield* parts;
  }
}

for await (const line of lines()) {
  process.stdout.write(`${JSON.stringify(await answer(line))}\n`);
}
